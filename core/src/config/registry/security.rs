//! Settings of the broker about TLS, SASL and who may do what.

use super::{Definition, Kind, Standing, Update, Valid, definitions};
use Valid::{Any, AtLeast, OneOf};

const NO_SASL: &str = "SASL is not served yet";
const NO_TLS: &str = "TLS is not served yet";

pub(super) static DEFINITIONS: &[Definition] = definitions! {
    "authorizer.class.name" String "" ReadOnly (Any)
        "The class that decides who may do what." NoEffect("access control is not served yet: everyone may do everything");
    "connections.max.reauth.ms" Long "0" ReadOnly (Any)
        "How long a connection may go without authenticating again." NoEffect(NO_SASL);
    "delegation.token.expiry.check.interval.ms" Long "3600000" ReadOnly (AtLeast(1))
        "How often expired delegation tokens are removed." NoEffect(NO_SASL);
    "delegation.token.expiry.time.ms" Long "86400000" ReadOnly (AtLeast(1))
        "How long a delegation token is valid without renewal." NoEffect(NO_SASL);
    "delegation.token.max.lifetime.ms" Long "604800000" ReadOnly (AtLeast(1))
        "How long a delegation token may be renewed." NoEffect(NO_SASL);
    "delegation.token.secret.key" Password null ReadOnly (Any)
        "The secret that delegation tokens are signed with." NoEffect(NO_SASL);
    "principal.builder.class" Class "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder" ReadOnly (Any)
        "The class that makes a principal of what a client authenticated as." NoEffect(NO_SASL);
    "sasl.client.callback.handler.class" Class null ReadOnly (Any)
        "The class that answers questions of the client side of SASL." NoEffect(NO_SASL);
    "sasl.enabled.mechanisms" List "GSSAPI" ReadOnly (Any)
        "The SASL mechanisms that clients may use." NoEffect(NO_SASL);
    "sasl.jaas.config" Password null ReadOnly (Any)
        "Credentials for SASL in the form of JAAS." NoEffect(NO_SASL);
    "sasl.kerberos.kinit.cmd" String "/usr/bin/kinit" ReadOnly (Any)
        "The path of kinit." NoEffect(NO_SASL);
    "sasl.kerberos.min.time.before.relogin" Long "60000" ReadOnly (Any)
        "The least time between two logins at Kerberos." NoEffect(NO_SASL);
    "sasl.kerberos.principal.to.local.rules" List "DEFAULT" ReadOnly (Any)
        "Rules that make a short name of a Kerberos principal." NoEffect(NO_SASL);
    "sasl.kerberos.service.name" String null ReadOnly (Any)
        "The name of the broker at Kerberos." NoEffect(NO_SASL);
    "sasl.kerberos.ticket.renew.jitter" Double "0.05" ReadOnly (Any)
        "How much the renewal of a Kerberos ticket varies." NoEffect(NO_SASL);
    "sasl.kerberos.ticket.renew.window.factor" Double "0.8" ReadOnly (Any)
        "The part of its life after which a Kerberos ticket is renewed." NoEffect(NO_SASL);
    "sasl.login.callback.handler.class" Class null ReadOnly (Any)
        "The class that answers questions of a login." NoEffect(NO_SASL);
    "sasl.login.class" Class null ReadOnly (Any)
        "The class that logs in." NoEffect(NO_SASL);
    "sasl.login.connect.timeout.ms" Int null ReadOnly (Any)
        "How long a connection to a login provider may take." NoEffect(NO_SASL);
    "sasl.login.read.timeout.ms" Int null ReadOnly (Any)
        "How long an answer of a login provider may take." NoEffect(NO_SASL);
    "sasl.login.refresh.buffer.seconds" Short "300" ReadOnly (Any)
        "How long before its end a credential is renewed at the latest." NoEffect(NO_SASL);
    "sasl.login.refresh.min.period.seconds" Short "60" ReadOnly (Any)
        "The least time between two renewals of a credential." NoEffect(NO_SASL);
    "sasl.login.refresh.window.factor" Double "0.8" ReadOnly (Any)
        "The part of its life after which a credential is renewed." NoEffect(NO_SASL);
    "sasl.login.refresh.window.jitter" Double "0.05" ReadOnly (Any)
        "How much the renewal of a credential varies." NoEffect(NO_SASL);
    "sasl.login.retry.backoff.max.ms" Long "10000" ReadOnly (Any)
        "The longest pause between attempts to log in." NoEffect(NO_SASL);
    "sasl.login.retry.backoff.ms" Long "100" ReadOnly (Any)
        "The first pause between attempts to log in." NoEffect(NO_SASL);
    "sasl.mechanism.controller.protocol" String "GSSAPI" ReadOnly (Any)
        "The SASL mechanism towards controllers." NoEffect(NO_SASL);
    "sasl.mechanism.inter.broker.protocol" String "GSSAPI" ReadOnly (Any)
        "The SASL mechanism among brokers." NoEffect(NO_SASL);
    "sasl.oauthbearer.assertion.algorithm" String "RS256" ReadOnly (Any)
        "The algorithm that signs assertions for OAuth." NoEffect(NO_SASL);
    "sasl.oauthbearer.assertion.claim.aud" String null ReadOnly (Any)
        "The audience that assertions for OAuth name." NoEffect(NO_SASL);
    "sasl.oauthbearer.assertion.claim.exp.seconds" Int "300" ReadOnly (Any)
        "How long assertions for OAuth are valid." NoEffect(NO_SASL);
    "sasl.oauthbearer.assertion.claim.iss" String null ReadOnly (Any)
        "The issuer that assertions for OAuth name." NoEffect(NO_SASL);
    "sasl.oauthbearer.assertion.claim.jti.include" Boolean "false" ReadOnly (Any)
        "Whether assertions for OAuth carry an id of their own." NoEffect(NO_SASL);
    "sasl.oauthbearer.assertion.claim.nbf.seconds" Int "60" ReadOnly (Any)
        "How far back assertions for OAuth begin to be valid." NoEffect(NO_SASL);
    "sasl.oauthbearer.assertion.claim.sub" String null ReadOnly (Any)
        "The subject that assertions for OAuth name." NoEffect(NO_SASL);
    "sasl.oauthbearer.assertion.file" String null ReadOnly (Any)
        "A file with a finished assertion for OAuth." NoEffect(NO_SASL);
    "sasl.oauthbearer.assertion.private.key.file" String null ReadOnly (Any)
        "A file with the key that signs assertions for OAuth." NoEffect(NO_SASL);
    "sasl.oauthbearer.assertion.private.key.passphrase" Password null ReadOnly (Any)
        "What opens the key that signs assertions for OAuth." NoEffect(NO_SASL);
    "sasl.oauthbearer.assertion.template.file" String null ReadOnly (Any)
        "A file with fixed parts of assertions for OAuth." NoEffect(NO_SASL);
    "sasl.oauthbearer.client.credentials.client.id" String null ReadOnly (Any)
        "The id with which the broker asks for a token." NoEffect(NO_SASL);
    "sasl.oauthbearer.client.credentials.client.secret" Password null ReadOnly (Any)
        "The secret with which the broker asks for a token." NoEffect(NO_SASL);
    "sasl.oauthbearer.clock.skew.seconds" Int "30" ReadOnly (Any)
        "How far clocks may differ when a token is judged." NoEffect(NO_SASL);
    "sasl.oauthbearer.expected.audience" List "" ReadOnly (Any)
        "Audiences of which a token must name one." NoEffect(NO_SASL);
    "sasl.oauthbearer.expected.issuer" String null ReadOnly (Any)
        "The issuer that a token must name." NoEffect(NO_SASL);
    "sasl.oauthbearer.jwks.endpoint.refresh.ms" Long "3600000" ReadOnly (Any)
        "How often keys are fetched from the provider." NoEffect(NO_SASL);
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms" Long "10000" ReadOnly (Any)
        "The longest pause between attempts to fetch keys." NoEffect(NO_SASL);
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms" Long "100" ReadOnly (Any)
        "The first pause between attempts to fetch keys." NoEffect(NO_SASL);
    "sasl.oauthbearer.jwks.endpoint.url" String null ReadOnly (Any)
        "Where the keys of the provider are." NoEffect(NO_SASL);
    "sasl.oauthbearer.jwt.retriever.class" Class "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever" ReadOnly (Any)
        "The class that fetches tokens." NoEffect(NO_SASL);
    "sasl.oauthbearer.jwt.validator.class" Class "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator" ReadOnly (Any)
        "The class that judges tokens." NoEffect(NO_SASL);
    "sasl.oauthbearer.scope" String null ReadOnly (Any)
        "The scope with which the broker asks for a token." NoEffect(NO_SASL);
    "sasl.oauthbearer.scope.claim.name" String "scope" ReadOnly (Any)
        "The claim of a token that holds its scope." NoEffect(NO_SASL);
    "sasl.oauthbearer.sub.claim.name" String "sub" ReadOnly (Any)
        "The claim of a token that holds its subject." NoEffect(NO_SASL);
    "sasl.oauthbearer.token.endpoint.url" String null ReadOnly (Any)
        "Where tokens are fetched." NoEffect(NO_SASL);
    "sasl.server.callback.handler.class" Class null ReadOnly (Any)
        "The class that judges what clients say in SASL." NoEffect(NO_SASL);
    "sasl.server.max.receive.size" Int "524288" ReadOnly (Any)
        "The largest message of a client before it is authenticated." NoEffect(NO_SASL);
    "security.inter.broker.protocol" String "PLAINTEXT" ReadOnly (OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]))
        "The security protocol among brokers." NoEffect("there is one broker");
    "security.providers" String null ReadOnly (Any)
        "Java security providers." NoEffect("no Java class can be loaded");
    "ssl.allow.dn.changes" Boolean "false" ReadOnly (Any)
        "Whether a renewed certificate may have another name." NoEffect(NO_TLS);
    "ssl.allow.san.changes" Boolean "false" ReadOnly (Any)
        "Whether a renewed certificate may have other alternative names." NoEffect(NO_TLS);
    "ssl.cipher.suites" List "" ReadOnly (Any)
        "The cipher suites that are offered." NoEffect(NO_TLS);
    "ssl.client.auth" String "none" ReadOnly (OneOf(&["required", "requested", "none"]))
        "Whether clients must show a certificate." NoEffect(NO_TLS);
    "ssl.enabled.protocols" List "TLSv1.2,TLSv1.3" ReadOnly (Any)
        "The versions of TLS that are offered." NoEffect(NO_TLS);
    "ssl.endpoint.identification.algorithm" String "https" ReadOnly (Any)
        "How the name of a peer is compared with its certificate." NoEffect(NO_TLS);
    "ssl.engine.factory.class" Class null ReadOnly (Any)
        "The class that makes TLS engines." NoEffect(NO_TLS);
    "ssl.key.password" Password null PerBroker (Any)
        "What opens the private key." NoEffect(NO_TLS);
    "ssl.keymanager.algorithm" String "SunX509" ReadOnly (Any)
        "How Java chooses its key manager." NoEffect(NO_TLS);
    "ssl.keystore.certificate.chain" Password null PerBroker (Any)
        "The certificate and its chain as PEM." NoEffect(NO_TLS);
    "ssl.keystore.key" Password null PerBroker (Any)
        "The private key as PEM." NoEffect(NO_TLS);
    "ssl.keystore.location" String null PerBroker (Any)
        "The file with the private key and its certificate." NoEffect(NO_TLS);
    "ssl.keystore.password" Password null PerBroker (Any)
        "What opens the file with the private key." NoEffect(NO_TLS);
    "ssl.keystore.type" String "JKS" PerBroker (Any)
        "The format of the file with the private key." NoEffect(NO_TLS);
    "ssl.principal.mapping.rules" String "DEFAULT" ReadOnly (Any)
        "Rules that make a principal of the name in a certificate." NoEffect(NO_TLS);
    "ssl.protocol" String "TLSv1.3" ReadOnly (Any)
        "The newest version of TLS that is offered." NoEffect(NO_TLS);
    "ssl.provider" String null ReadOnly (Any)
        "The Java provider of TLS." NoEffect(NO_TLS);
    "ssl.secure.random.implementation" String null ReadOnly (Any)
        "Where Java takes randomness from." NoEffect(NO_TLS);
    "ssl.trustmanager.algorithm" String "PKIX" ReadOnly (Any)
        "How Java chooses its trust manager." NoEffect(NO_TLS);
    "ssl.truststore.certificates" Password null PerBroker (Any)
        "The certificates that are trusted as PEM." NoEffect(NO_TLS);
    "ssl.truststore.location" String null PerBroker (Any)
        "The file with the certificates that are trusted." NoEffect(NO_TLS);
    "ssl.truststore.password" Password null PerBroker (Any)
        "What opens the file with trusted certificates." NoEffect(NO_TLS);
    "ssl.truststore.type" String "JKS" PerBroker (Any)
        "The format of the file with trusted certificates." NoEffect(NO_TLS);
};
