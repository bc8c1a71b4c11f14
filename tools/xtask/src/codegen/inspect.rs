//! Writes what the feature `inspect` needs: a value tree of each struct, and the table of all codecs.

use super::message::{Scope, rust_name};
use super::schema::{Field, Versions};

pub(super) const USES: &str =
    "#[cfg(feature = \"inspect\")] use crate::wire::inspect::{Fields, Inspect, Value};\n";

pub(super) fn item(scope: &Scope<'_>, name: &str, fields: &[Field]) -> String {
    let mut body = String::new();
    for field in fields {
        let Versions { first, last } = field.versions;
        let put = format!(
            "fields.put({:?}, {first}..={last}, &self.{});\n",
            field.kafka_name.clone().unwrap_or_else(|| camel_case(&field.name)),
            rust_name(field)
        );
        body += &match field.tag {
            Some(_) => format!("if {} {{ {put} }}\n", scope.differs_from_default(field)),
            None => put,
        };
    }
    let mutable = if fields.is_empty() { "" } else { "mut " };
    format!(
        "#[cfg(feature = \"inspect\")]
        impl Inspect for {name} {{
            fn inspect(&self, version: i16) -> Value {{
                let {mutable}fields = Fields::new(version);
                {body}fields.end()
            }}
        }}

        "
    )
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(1);
        camel += &first.to_uppercase();
        camel += rest;
    }
    camel
}

pub(super) fn codec(scope: &Scope<'_>, kind: &str, path: &str) -> String {
    let lifetime = if scope.borrows(&scope.message.fields) { "<'_>" } else { "" };
    format!("codec!({}, {kind}, {path}{lifetime}),\n", scope.api.name)
}

pub(super) fn codecs(list: &str) -> String {
    format!(
        "
        #[cfg(feature = \"inspect\")]
        use super::inspect::{{Codec, codec}};

        /// A codec for each request and response.
        #[cfg(feature = \"inspect\")]
        pub(super) static CODECS: &[Codec] = &[
            {list}
        ];
        "
    )
}
