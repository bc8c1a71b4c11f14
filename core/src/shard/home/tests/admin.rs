//! The APIs of administration that need nobody but the home, from bytes to bytes.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::{World, body};
use crate::api::SERVED;
use crate::id::Uuid;
use crate::wire::ApiKey;
use crate::wire::messages::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use crate::wire::messages::alter_client_quotas_response::AlterClientQuotasResponse;
use crate::wire::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use crate::wire::messages::alter_partition_reassignments_response::AlterPartitionReassignmentsResponse;
use crate::wire::messages::alter_user_scram_credentials_request::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use crate::wire::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResponse;
use crate::wire::messages::create_acls_request::{AclCreation, CreateAclsRequest};
use crate::wire::messages::create_acls_response::CreateAclsResponse;
use crate::wire::messages::create_delegation_token_request::CreateDelegationTokenRequest;
use crate::wire::messages::create_delegation_token_response::CreateDelegationTokenResponse;
use crate::wire::messages::delete_acls_request::{DeleteAclsFilter, DeleteAclsRequest};
use crate::wire::messages::delete_acls_response::DeleteAclsResponse;
use crate::wire::messages::describe_acls_request::DescribeAclsRequest;
use crate::wire::messages::describe_acls_response::DescribeAclsResponse;
use crate::wire::messages::describe_client_quotas_request::{ComponentData, DescribeClientQuotasRequest};
use crate::wire::messages::describe_client_quotas_response::DescribeClientQuotasResponse;
use crate::wire::messages::describe_cluster_request::DescribeClusterRequest;
use crate::wire::messages::describe_cluster_response::DescribeClusterResponse;
use crate::wire::messages::describe_delegation_token_request::DescribeDelegationTokenRequest;
use crate::wire::messages::describe_delegation_token_response::DescribeDelegationTokenResponse;
use crate::wire::messages::describe_quorum_request::{self, DescribeQuorumRequest};
use crate::wire::messages::describe_quorum_response::DescribeQuorumResponse;
use crate::wire::messages::describe_topic_partitions_request::{
    Cursor, DescribeTopicPartitionsRequest, TopicRequest,
};
use crate::wire::messages::describe_topic_partitions_response::DescribeTopicPartitionsResponse;
use crate::wire::messages::describe_transactions_request::DescribeTransactionsRequest;
use crate::wire::messages::describe_transactions_response::DescribeTransactionsResponse;
use crate::wire::messages::describe_user_scram_credentials_request::{
    DescribeUserScramCredentialsRequest, UserName,
};
use crate::wire::messages::describe_user_scram_credentials_response::DescribeUserScramCredentialsResponse;
use crate::wire::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use crate::wire::messages::elect_leaders_response::ElectLeadersResponse;
use crate::wire::messages::expire_delegation_token_request::ExpireDelegationTokenRequest;
use crate::wire::messages::expire_delegation_token_response::ExpireDelegationTokenResponse;
use crate::wire::messages::list_groups_request::ListGroupsRequest;
use crate::wire::messages::list_groups_response::ListGroupsResponse;
use crate::wire::messages::list_partition_reassignments_request::ListPartitionReassignmentsRequest;
use crate::wire::messages::list_partition_reassignments_response::ListPartitionReassignmentsResponse;
use crate::wire::messages::list_transactions_request::ListTransactionsRequest;
use crate::wire::messages::list_transactions_response::ListTransactionsResponse;
use crate::wire::messages::renew_delegation_token_request::RenewDelegationTokenRequest;
use crate::wire::messages::renew_delegation_token_response::RenewDelegationTokenResponse;
use crate::wire::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use crate::wire::messages::update_features_response::UpdateFeaturesResponse;

/// Asks in every version that is served, and gives the answer to a check.
macro_rules! in_every_version {
    ($world:expr, $key:ident, $request:expr, $response:ident, |$version:ident, $answer:ident| $check:block) => {{
        let (_, min, max) = SERVED.iter().find(|(key, _, _)| *key == ApiKey::$key).expect("served");
        for $version in *min..=*max {
            let bytes = body(|writer| $request.encode($version, writer));
            $world.ask(ApiKey::$key, $version, &bytes, |reader| {
                let $answer = $response::decode($version, reader).expect("a response");
                $check
            });
        }
    }};
}

#[test]
fn what_is_served_has_codecs_and_stands_in_order() {
    assert!(SERVED.is_sorted_by(|one, two| one.0.code() < two.0.code()));
    for (key, min, max) in SERVED.iter().filter(|(key, _, _)| *key != ApiKey::Produce) {
        assert!(key.versions().contains(min) && key.versions().contains(max) && min <= max, "{key:?}");
    }
}

#[test]
fn acls_are_refused_without_an_authorizer() {
    let mut world = World::new();
    in_every_version!(
        world,
        DescribeAcls,
        DescribeAclsRequest::default(),
        DescribeAclsResponse,
        |_v, answer| {
            let told = (answer.error_code, answer.error_message, answer.resources.len());
            assert_eq!(told, (54, Some("the broker has no authorizer, and so no ACLs"), 0));
        }
    );
    let two = CreateAclsRequest {
        creations: vec![AclCreation::default(), AclCreation::default()],
        ..CreateAclsRequest::default()
    };
    in_every_version!(world, CreateAcls, two, CreateAclsResponse, |_v, answer| {
        let told: Vec<_> =
            answer.results.iter().map(|result| (result.error_code, result.error_message)).collect();
        assert_eq!(told, [(54, Some("the broker has no authorizer, and so no ACLs")); 2]);
    });
    let one =
        DeleteAclsRequest { filters: vec![DeleteAclsFilter::default()], ..DeleteAclsRequest::default() };
    in_every_version!(world, DeleteAcls, one, DeleteAclsResponse, |_v, answer| {
        assert_eq!(answer.filter_results.len(), 1);
        assert_eq!(answer.filter_results[0].error_code, 54);
    });
}

#[test]
fn delegation_tokens_are_refused_to_who_is_not_known() {
    let mut world = World::new();
    let create = CreateDelegationTokenRequest {
        owner_principal_type: Some("User"),
        owner_principal_name: Some("eve"),
        ..CreateDelegationTokenRequest::default()
    };
    in_every_version!(
        world,
        CreateDelegationToken,
        create,
        CreateDelegationTokenResponse,
        |version, answer| {
            assert_eq!((answer.error_code, answer.expiry_timestamp_ms), (64, -1));
            assert_eq!(answer.principal_name, if version >= 3 { "eve" } else { "ANONYMOUS" });
        }
    );
    let renew = RenewDelegationTokenRequest::default();
    in_every_version!(world, RenewDelegationToken, renew, RenewDelegationTokenResponse, |_v, answer| {
        assert_eq!((answer.error_code, answer.expiry_timestamp_ms), (64, -1));
    });
    let expire = ExpireDelegationTokenRequest::default();
    in_every_version!(world, ExpireDelegationToken, expire, ExpireDelegationTokenResponse, |_v, answer| {
        assert_eq!((answer.error_code, answer.expiry_timestamp_ms), (64, -1));
    });
    let describe = DescribeDelegationTokenRequest::default();
    in_every_version!(
        world,
        DescribeDelegationToken,
        describe,
        DescribeDelegationTokenResponse,
        |_v, answer| {
            assert_eq!((answer.error_code, answer.tokens.len()), (64, 0));
        }
    );
}

#[test]
fn scram_knows_no_users_and_makes_none() {
    let mut world = World::new();
    let all = DescribeUserScramCredentialsRequest::default();
    in_every_version!(
        world,
        DescribeUserScramCredentials,
        all,
        DescribeUserScramCredentialsResponse,
        |_v, answer| {
            assert_eq!((answer.error_code, answer.results.len()), (0, 0));
        }
    );
    let user = |name| UserName { name, ..UserName::default() };
    let named = DescribeUserScramCredentialsRequest {
        users: Some(vec![user("eve"), user("bob"), user("eve")]),
        ..DescribeUserScramCredentialsRequest::default()
    };
    in_every_version!(
        world,
        DescribeUserScramCredentials,
        named,
        DescribeUserScramCredentialsResponse,
        |_v, answer| {
            let told: Vec<_> = answer.results.iter().map(|result| (result.user, result.error_code)).collect();
            assert_eq!((answer.error_code, told), (0, vec![("bob", 91), ("eve", 92)]));
        }
    );
    let set = |name, mechanism, iterations| ScramCredentialUpsertion {
        name,
        mechanism,
        iterations,
        ..ScramCredentialUpsertion::default()
    };
    let alter = AlterUserScramCredentialsRequest {
        deletions: vec![ScramCredentialDeletion { name: "gone", mechanism: 1, ..Default::default() }],
        upsertions: vec![
            set("", 1, 4_096),
            set("fair", 1, 4_096),
            set("few", 2, 4_095),
            set("many", 2, 16_385),
            set("odd", 3, 4_096),
            set("twice", 1, 4_096),
            set("twice", 1, 4_096),
        ],
        ..AlterUserScramCredentialsRequest::default()
    };
    in_every_version!(
        world,
        AlterUserScramCredentials,
        alter,
        AlterUserScramCredentialsResponse,
        |_v, answer| {
            let told: Vec<_> = answer.results.iter().map(|result| (result.user, result.error_code)).collect();
            let wanted =
                [("", 93), ("fair", 35), ("few", 93), ("gone", 91), ("many", 93), ("odd", 33), ("twice", 92)];
            assert_eq!(told, wanted);
        }
    );
}

#[test]
fn quotas_are_none_and_cannot_be_set() {
    let mut world = World::new();
    let component = |entity_type, match_type, r#match| ComponentData {
        entity_type,
        match_type,
        r#match,
        ..ComponentData::default()
    };
    let filters = [
        (vec![], 0),
        (vec![component("user", 2, None), component("client-id", 0, Some("x"))], 0),
        (vec![component("", 2, None)], 42),
        (vec![component("tenant", 2, None)], 35),
        (vec![component("user", 3, None)], 42),
        (vec![component("user", 0, None)], 42),
        (vec![component("user", 1, Some("x"))], 42),
        (vec![component("user", 2, None), component("user", 2, None)], 42),
        (vec![component("user", 2, None), component("ip", 2, None)], 42),
    ];
    for (components, code) in filters {
        let describe = DescribeClientQuotasRequest { components, ..DescribeClientQuotasRequest::default() };
        in_every_version!(
            world,
            DescribeClientQuotas,
            describe,
            DescribeClientQuotasResponse,
            |_v, answer| {
                let told = (answer.error_code, answer.entries.map(|entries| entries.len()));
                assert_eq!(told, (code, (code == 0).then_some(0)), "{:?}", describe.components);
            }
        );
    }
    let entity = |entity_type, entity_name| EntityData { entity_type, entity_name, ..EntityData::default() };
    let op = |remove| OpData { key: "producer_byte_rate", value: 1.0, remove, ..OpData::default() };
    let entry = |entity, remove| EntryData { entity, ops: vec![op(remove)], ..EntryData::default() };
    let entries = vec![
        entry(vec![entity("user", None)], false),
        entry(vec![entity("user", None)], true),
        entry(vec![], false),
        entry(vec![entity("user", None), entity("user", Some("x"))], false),
        entry(vec![entity("ip", None), entity("user", Some("x"))], false),
        entry(vec![entity("tenant", None)], false),
        entry(vec![entity("user", Some(""))], false),
    ];
    let alter = AlterClientQuotasRequest { entries, ..AlterClientQuotasRequest::default() };
    in_every_version!(world, AlterClientQuotas, alter, AlterClientQuotasResponse, |_v, answer| {
        let told: Vec<i16> = answer.entries.iter().map(|entry| entry.error_code).collect();
        assert_eq!(told, [35, 0, 42, 42, 42, 42, 42]);
    });
}

#[test]
fn transactions_and_groups_are_none() {
    let mut world = World::new();
    let describe = DescribeTransactionsRequest { transactional_ids: vec!["t"], ..Default::default() };
    in_every_version!(world, DescribeTransactions, describe, DescribeTransactionsResponse, |_v, answer| {
        let told = (answer.transaction_states[0].error_code, answer.transaction_states[0].transactional_id);
        assert_eq!(told, (105, "t"));
    });
    let list = ListTransactionsRequest {
        state_filters: vec!["Ongoing", "Odd"],
        ..ListTransactionsRequest::default()
    };
    in_every_version!(world, ListTransactions, list, ListTransactionsResponse, |_v, answer| {
        assert_eq!((answer.error_code, answer.transaction_states.len()), (0, 0));
        assert_eq!(answer.unknown_state_filters, ["Odd"]);
    });
    in_every_version!(world, ListGroups, ListGroupsRequest::default(), ListGroupsResponse, |_v, answer| {
        assert_eq!((answer.error_code, answer.groups.len()), (0, 0));
    });
}

#[test]
fn describe_cluster_tells_the_broker() {
    let mut world = World::new();
    for (asked, bits) in [(true, 0x1fa0), (false, i32::MIN)] {
        let request = DescribeClusterRequest {
            include_cluster_authorized_operations: asked,
            ..DescribeClusterRequest::default()
        };
        let id = world.controller.image().cluster_id.to_string();
        in_every_version!(world, DescribeCluster, request, DescribeClusterResponse, |_v, answer| {
            assert_eq!((answer.error_code, answer.controller_id, answer.cluster_id), (0, 1, id.as_str()));
            assert_eq!((answer.brokers.len(), answer.cluster_authorized_operations), (1, bits));
            let broker = &answer.brokers[0];
            let told = (broker.broker_id, broker.host, broker.port, broker.is_fenced);
            assert_eq!(told, (1, "127.0.0.1", 9092, false));
        });
    }
    for (endpoint_type, code) in [(2, 114), (0, 115), (3, 115)] {
        let request = DescribeClusterRequest { endpoint_type, ..DescribeClusterRequest::default() };
        let bytes = body(|writer| request.encode(1, writer));
        world.ask(ApiKey::DescribeCluster, 1, &bytes, |reader| {
            let answer = DescribeClusterResponse::decode(1, reader).expect("a response");
            assert_eq!((answer.error_code, answer.brokers.len()), (code, 0));
        });
    }
}

#[test]
fn describe_quorum_tells_how_far_the_metadata_is() {
    let mut world = World::with_topic();
    let topic = |topic_name, index| {
        let partition =
            describe_quorum_request::PartitionData { partition_index: index, ..Default::default() };
        let partitions = vec![partition];
        let topic = describe_quorum_request::TopicData { topic_name, partitions, ..Default::default() };
        DescribeQuorumRequest { topics: vec![topic], ..DescribeQuorumRequest::default() }
    };
    // The cluster, the topic and its two partitions.
    let end = world.next.0;
    assert_eq!(end, 4);
    let directory = Uuid([9; 16]);
    world.home.on_directory(directory);
    in_every_version!(
        world,
        DescribeQuorum,
        topic("__cluster_metadata", 0),
        DescribeQuorumResponse,
        |version, answer| {
            let quorum = &answer.topics[0].partitions[0];
            let told = (quorum.error_code, quorum.leader_id, quorum.high_watermark, quorum.observers.len());
            assert_eq!(told, (0, 1, end, 0));
            assert_eq!(quorum.current_voters.len(), 1);
            let voter = &quorum.current_voters[0];
            assert_eq!((voter.replica_id, voter.log_end_offset), (1, end));
            assert_eq!(voter.last_fetch_timestamp, if version >= 1 { 1_700_000_000_000 } else { -1 });
            assert_eq!(voter.replica_directory_id, if version >= 2 { directory } else { Uuid::ZERO });
            assert_eq!(answer.nodes.len(), usize::from(version >= 2));
        }
    );
    for other in [topic("__cluster_metadata", 1), topic("t", 0)] {
        in_every_version!(world, DescribeQuorum, other, DescribeQuorumResponse, |_v, answer| {
            assert_eq!((answer.error_code, answer.topics[0].partitions[0].error_code), (0, 3));
        });
    }
}

/// Topics with their errors and partitions, and where to go on.
type Page = (Vec<(String, i16, Vec<i32>)>, Option<(String, i32)>);

fn page(world: &mut World, topics: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> Page {
    let cursor = cursor.map(|(topic_name, partition_index)| Cursor {
        topic_name,
        partition_index,
        ..Cursor::default()
    });
    let topics = topics.iter().map(|name| TopicRequest { name, ..TopicRequest::default() }).collect();
    let request = DescribeTopicPartitionsRequest {
        topics,
        response_partition_limit: limit,
        cursor,
        ..DescribeTopicPartitionsRequest::default()
    };
    let bytes = body(|writer| request.encode(0, writer));
    world.ask(ApiKey::DescribeTopicPartitions, 0, &bytes, |reader| {
        let answer = DescribeTopicPartitionsResponse::decode(0, reader).expect("a response");
        let topics = answer.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
            (String::from(topic.name.expect("by name")), topic.error_code, partitions.collect())
        });
        let next = answer.next_cursor.as_ref();
        (topics.collect(), next.map(|next| (String::from(next.topic_name), next.partition_index)))
    })
}

#[test]
fn describe_topic_partitions_goes_on_where_it_stopped() {
    let mut world = World::new();
    world.create("b", 3, &[]);
    world.create("a", 2, &[]);
    let topic = |name: &str, code, partitions: &[i32]| (String::from(name), code, partitions.to_vec());
    let next = |name: &str, index| Some((String::from(name), index));
    let all = (vec![topic("a", 0, &[0, 1]), topic("b", 0, &[0, 1, 2])], None);
    assert_eq!(page(&mut world, &[], 2_000, None), all);
    assert_eq!(page(&mut world, &["b", "a", "b"], i32::MAX, None), all, "sorted, each once");
    assert_eq!(page(&mut world, &[], 1, None), (vec![topic("a", 0, &[0])], next("a", 1)));
    assert_eq!(page(&mut world, &[], -5, Some(("a", 1))), (vec![topic("a", 0, &[1])], next("b", 0)));
    assert_eq!(page(&mut world, &[], 2, Some(("b", 0))), (vec![topic("b", 0, &[0, 1])], next("b", 2)));
    assert_eq!(page(&mut world, &[], 2, Some(("b", 2))), (vec![topic("b", 0, &[2])], None));
    assert_eq!(
        page(&mut world, &[], 9, Some(("aa", 7))),
        (vec![topic("b", 0, &[0, 1, 2])], None),
        "it is gone"
    );
    assert_eq!(page(&mut world, &[], 9, Some(("b", 77))), (vec![topic("b", 0, &[])], None));
    assert_eq!(page(&mut world, &["b"], 9, Some(("b", -1))), (vec![topic("b", 42, &[])], None));
    let odd = page(&mut world, &["bad name", "none"], 9, None);
    assert_eq!(odd, (vec![topic("bad name", 17, &[]), topic("none", 3, &[])], None));
}

#[test]
fn elections_are_not_needed() {
    let mut world = World::with_topic();
    let wanted = |topic, partitions| TopicPartitions { topic, partitions, ..TopicPartitions::default() };
    for election_type in [0, 1] {
        let request = ElectLeadersRequest {
            election_type,
            topic_partitions: Some(vec![wanted("t", vec![0, 2]), wanted("none", vec![0])]),
            ..ElectLeadersRequest::default()
        };
        let bytes = body(|writer| request.encode(2, writer));
        world.ask(ApiKey::ElectLeaders, 2, &bytes, |reader| {
            let answer = ElectLeadersResponse::decode(2, reader).expect("a response");
            let told: Vec<(&str, Vec<i16>)> = answer
                .replica_election_results
                .iter()
                .map(|topic| (topic.topic, topic.partition_result.iter().map(|p| p.error_code).collect()))
                .collect();
            assert_eq!((answer.error_code, told), (0, vec![("t", vec![84, 3]), ("none", vec![3])]));
        });
    }
    let all = ElectLeadersRequest { topic_partitions: None, ..ElectLeadersRequest::default() };
    in_every_version!(world, ElectLeaders, all, ElectLeadersResponse, |_v, answer| {
        assert_eq!((answer.error_code, answer.replica_election_results.len()), (0, 0));
    });
    let odd = ElectLeadersRequest { election_type: 2, ..ElectLeadersRequest::default() };
    let bytes = body(|writer| odd.encode(2, writer));
    world.ask(ApiKey::ElectLeaders, 2, &bytes, |reader| {
        assert_eq!(ElectLeadersResponse::decode(2, reader).expect("a response").error_code, 42);
    });
}

#[test]
fn reassignments_can_only_be_what_is() {
    let mut world = World::with_topic();
    let wanted = |index, replicas: Option<&[i32]>| ReassignablePartition {
        partition_index: index,
        replicas: replicas.map(<[i32]>::to_vec),
        ..ReassignablePartition::default()
    };
    let partitions = vec![
        wanted(0, Some(&[1])),
        wanted(1, None),
        wanted(0, Some(&[])),
        wanted(0, Some(&[1, 2])),
        wanted(0, Some(&[1, 1])),
        wanted(2, Some(&[1])),
    ];
    let topic = |name, partitions| ReassignableTopic { name, partitions, ..ReassignableTopic::default() };
    let request = AlterPartitionReassignmentsRequest {
        topics: vec![topic("t", partitions), topic("none", vec![wanted(0, None)])],
        ..AlterPartitionReassignmentsRequest::default()
    };
    in_every_version!(
        world,
        AlterPartitionReassignments,
        request,
        AlterPartitionReassignmentsResponse,
        |_v, answer| {
            let told: Vec<i16> =
                answer.responses.iter().flat_map(|t| t.partitions.iter().map(|p| p.error_code)).collect();
            assert_eq!((answer.error_code, told), (0, vec![0, 85, 39, 39, 39, 3, 3]));
        }
    );
    let list = ListPartitionReassignmentsRequest::default();
    in_every_version!(
        world,
        ListPartitionReassignments,
        list,
        ListPartitionReassignmentsResponse,
        |_v, answer| {
            assert_eq!((answer.error_code, answer.topics.len()), (0, 0));
        }
    );
}

#[test]
fn features_cannot_be_updated() {
    let mut world = World::new();
    let update = |feature, max_version_level, upgrade_type| FeatureUpdateKey {
        feature,
        max_version_level,
        upgrade_type,
        ..FeatureUpdateKey::default()
    };
    let updates =
        vec![update("a", 0, 1), update("metadata.version", 25, 1), update("b", -1, 1), update("c", 0, 9)];
    let request = UpdateFeaturesRequest { feature_updates: updates, ..UpdateFeaturesRequest::default() };
    let bytes = body(|writer| request.encode(1, writer));
    world.ask(ApiKey::UpdateFeatures, 1, &bytes, |reader| {
        let answer = UpdateFeaturesResponse::decode(1, reader).expect("a response");
        let told: Vec<i16> = answer.results.iter().map(|result| result.error_code).collect();
        assert_eq!((answer.error_code, told), (0, vec![0, 95, 95, 95]));
    });
    let bytes = body(|writer| request.encode(2, writer));
    world.ask(ApiKey::UpdateFeatures, 2, &bytes, |reader| {
        let answer = UpdateFeaturesResponse::decode(2, reader).expect("a response");
        let reason =
            "because of one: level 25 of feature 'metadata.version': this broker has no such feature";
        assert!(answer.error_message.is_some_and(|message| message.contains(reason)), "{answer:?}");
        assert_eq!((answer.error_code, answer.results.len()), (95, 0));
    });
    let none = UpdateFeaturesRequest::default();
    in_every_version!(world, UpdateFeatures, none, UpdateFeaturesResponse, |_v, answer| {
        assert_eq!((answer.error_code, answer.results.len()), (0, 0));
    });
}
