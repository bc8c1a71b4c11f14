//! `cluster info`: who there is, what they offer, what their disks hold.

use std::io::Write;

use highwater_core::client::{BrokerVersions, Destination, LogDir};
use highwater_core::wire::ApiKey;
use serde_json::{Value, json};

use crate::args::{ClusterCommand, ClusterInfoArgs, Output};
use crate::ended::Ended;
use crate::output::{self, column, show_bytes};
use crate::session::connect;
use crate::words::{Attempt, why};

pub(crate) fn run(command: &ClusterCommand, out: &mut impl Write) -> Result<(), Ended> {
    match command {
        ClusterCommand::Info(args) => info(args, out),
    }
}

fn info(args: &ClusterInfoArgs, out: &mut impl Write) -> Result<(), Ended> {
    let mut drive = connect(&args.broker)?;
    let cluster = drive.cluster()?;
    let mut nodes = Vec::new();
    for node in &cluster.nodes {
        let place = format!("{}:{}", node.address.host, node.address.port);
        let attempt = Attempt { what: "cannot ask the node", place: &place, message: None };
        let to = || Destination::Broker(node.address.clone());
        let versions = drive.versions(&attempt, to())?;
        // A node that says nothing of its disks is still worth a line.
        let dirs: Vec<Value> = match drive.log_dirs(&attempt, None, to()) {
            Ok(dirs) => dirs.iter().map(dir_json).collect(),
            Err(failure) => vec![json!({ "error": failure.why })],
        };
        nodes.push(json!({
            "node": node.id.0,
            "address": place,
            "rack": node.rack,
            "controller": cluster.controller == Some(node.id),
            "apis": apis_json(&versions),
            "features": features_json(&versions),
            "log_dirs": dirs,
        }));
    }
    let whole = json!({
        "cluster_id": cluster.cluster_id,
        "controller": cluster.controller.map(|node| node.0),
        "nodes": nodes,
    });
    match args.output.output {
        form @ (Output::Json | Output::Yaml) => output::rows(form, &[], &[whole], out),
        form @ (Output::Table | Output::Wide) => print(form, &whole, out),
    }
}

fn print(form: Output, whole: &Value, out: &mut impl Write) -> Result<(), Ended> {
    let id = whole["cluster_id"].as_str().unwrap_or_default();
    writeln!(out, "cluster {id}\n").map_err(Ended::by_output)?;
    let nodes = whole["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let columns = [
        column("NODE", "node"),
        column("ADDRESS", "address"),
        column("CONTROLLER", "controller"),
        column("RACK", "rack"),
    ];
    output::rows(form, &columns, nodes, out)?;
    let inner = |field: &str| -> Vec<Value> {
        let all = nodes.iter().flat_map(|node| {
            let rows = node[field].as_array().cloned().unwrap_or_default();
            rows.into_iter().map(|mut row| {
                row["node"] = node["node"].clone();
                row
            })
        });
        all.collect()
    };
    let space = |out: &mut dyn Write| writeln!(out).map_err(Ended::by_output);
    space(out)?;
    let columns = [
        column("NODE", "node"),
        column("LOG DIR", "path"),
        column("PARTITIONS", "partitions"),
        column("LOGS", "logs"),
        column("DISK", "total"),
        column("FREE", "usable"),
        column("ERROR", "error"),
    ];
    output::rows(form, &columns, &inner("log_dirs"), out)?;
    space(out)?;
    let columns = [
        column("NODE", "node"),
        column("FEATURE", "feature"),
        column("LEVEL", "finalized"),
        column("SUPPORTED", "supported"),
    ];
    output::rows(form, &columns, &inner("features"), out)?;
    space(out)?;
    if form == Output::Wide {
        let columns = [
            column("NODE", "node"),
            column("API", "api"),
            column("KEY", "key"),
            column("VERSIONS", "versions"),
        ];
        return output::rows(form, &columns, &inner("apis"), out);
    }
    for node in nodes {
        let count = node["apis"].as_array().map_or(0, Vec::len);
        writeln!(out, "node {} answers {count} APIs; --output wide lists their versions", node["node"])
            .map_err(Ended::by_output)?;
    }
    Ok(())
}

fn apis_json(versions: &BrokerVersions) -> Vec<Value> {
    let apis = versions.apis.iter().map(|api| {
        let name = ApiKey::from_code(api.key).map_or("unknown", ApiKey::name);
        json!({ "api": name, "key": api.key, "versions": format!("{}-{}", api.first, api.last) })
    });
    apis.collect()
}

fn features_json(versions: &BrokerVersions) -> Vec<Value> {
    let features = versions.features.iter().map(|feature| {
        let (first, last) = feature.supported;
        json!({
            "feature": feature.name,
            "supported": format!("{first}-{last}"),
            "finalized": feature.finalized,
        })
    });
    features.collect()
}

fn dir_json(dir: &LogDir) -> Value {
    let bytes: u64 = dir.replicas.iter().map(|replica| replica.bytes).sum();
    json!({
        "path": dir.path,
        "partitions": dir.replicas.len(),
        "log_bytes": bytes,
        "logs": show_bytes(bytes),
        "total_bytes": dir.total_bytes,
        "total": dir.total_bytes.map(show_bytes),
        "usable_bytes": dir.usable_bytes,
        "usable": dir.usable_bytes.map(show_bytes),
        "error": dir.error.map(why),
    })
}
