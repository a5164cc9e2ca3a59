//! The node's part: name, socket, taints, and the address it advertises, completed from the host's facts.

use std::collections::HashSet;
use std::net::IpAddr;

use super::given::{Given, Origin, Problems, Wrong};
use super::init::Node;
use super::resolve::{Context, pick};
use super::{NodeRegistration, PullPolicy, Taint, value};
use crate::layout;

/// How a detected node name, address and socket are called.
pub(super) const NAME: &str = "node name";
pub(super) const ADDRESS: &str = "advertise address";
pub(super) const SOCKET: &str = "CRI socket";

const NAME_SUBJECT: &str = "InitConfiguration.nodeRegistration.name";
const ADDRESS_SUBJECT: &str = "InitConfiguration.localAPIEndpoint.advertiseAddress";
const SOCKET_SUBJECT: &str = "InitConfiguration.nodeRegistration.criSocket";
/// Label and taint of a control plane node.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

type Detected = Vec<(&'static str, String)>;

pub(super) fn registration(context: Context<'_>, given: Node, detected: &mut Detected) -> Option<NodeRegistration> {
    let hostname = context.facts.hostname.as_ref().map(|name| name.trim().to_lowercase());
    let flags = context.overrides.ignore_preflight_errors.iter();
    let flags = flags.map(|name| Given::flag("--ignore-preflight-errors", name.clone()));
    let ignored = ignored_checks(given.ignore_preflight_errors.into_iter().chain(flags), context.problems);
    let policy = given
        .image_pull_policy
        .map_or(Some(PullPolicy::IfNotPresent), |policy| policy.check(context.problems, |text| pull_policy(text)));
    let socket = cri_socket(context, given.cri_socket, detected);
    let name = name(context, given.name, hostname.as_ref(), detected)?;
    Some(NodeRegistration {
        hostname: hostname.unwrap_or_else(|| name.clone()),
        name,
        cri_socket: socket?,
        taints: given.taints.unwrap_or_else(|| {
            vec![Taint { key: CONTROL_PLANE.into(), value: String::new(), effect: "NoSchedule".into() }]
        }),
        kubelet_extra_args: given.kubelet_extra_args,
        ignore_preflight_errors: ignored,
        image_pull_policy: policy?,
        image_pull_serial: given.image_pull_serial.unwrap_or(true),
    })
}

pub(super) fn pull_policy(text: &str) -> Result<PullPolicy, Wrong> {
    match value::one_of(text, &["Always", "IfNotPresent", "Never"])?.as_str() {
        "Always" => Ok(PullPolicy::Always),
        "Never" => Ok(PullPolicy::Never),
        _ => Ok(PullPolicy::IfNotPresent),
    }
}

fn name(
    context: Context<'_>,
    field: Option<Given<String>>,
    hostname: Option<&String>,
    detected: &mut Detected,
) -> Option<String> {
    if let Some(given) = pick("--node-name", context.overrides.node_name.as_ref(), field) {
        return given.check(context.problems, |name| value::node_name(name));
    }
    let Some(hostname) = hostname else {
        missing(context, NAME_SUBJECT, "the node has no name", "give it with --node-name or nodeRegistration.name");
        return None;
    };
    let hint = "the host's name cannot be the node's: give one with --node-name or nodeRegistration.name";
    let given = Given::default(NAME_SUBJECT, hostname.clone());
    let name = given.check(context.problems, |name| value::node_name(name).map_err(|wrong| wrong.hint(hint)))?;
    detected.push((NAME, name.clone()));
    Some(name)
}

fn cri_socket(context: Context<'_>, field: Option<Given<String>>, detected: &mut Detected) -> Option<String> {
    if let Some(given) = pick("--cri-socket", context.overrides.cri_socket.as_ref(), field) {
        return given.check(context.problems, |socket| value::cri_socket(socket));
    }
    let socket = match context.facts.cri_sockets.as_slice() {
        [] => layout::CRI_SOCKETS[0],
        [socket] => socket,
        several => {
            let message = format!("several container runtimes answer: {}", several.join(", "));
            missing(context, SOCKET_SUBJECT, &message, "choose one with --cri-socket or nodeRegistration.criSocket");
            return None;
        }
    };
    detected.push((SOCKET, socket.to_owned()));
    Some(socket.to_owned())
}

/// The address that was given, else the host's; `0.0.0.0` and `::` ask for the host's, as in kubeadm.
pub(super) fn advertise_address(
    context: Context<'_>,
    field: Option<Given<String>>,
    detected: &mut Detected,
) -> Option<Given<IpAddr>> {
    let flag = context.overrides.advertise_address.as_ref();
    if let Some(given) = pick("--apiserver-advertise-address", flag, field) {
        let address = given.check(context.problems, |text| match value::ip(text)? {
            address if address.is_unspecified() || value::is_global_unicast(address) => Ok(address),
            address => Err(Wrong::new(format!("other nodes cannot reach {address}"))
                .hint("give a global unicast address of this node")),
        })?;
        if !address.is_unspecified() {
            return Some(Given { value: address, origin: given.origin });
        }
    }
    let Some(address) = context.facts.default_address.map(|address| address.to_canonical()) else {
        let hint = "give it with --apiserver-advertise-address or localAPIEndpoint.advertiseAddress";
        missing(context, ADDRESS_SUBJECT, "the address of this node is not known", hint);
        return None;
    };
    detected.push((ADDRESS, address.to_string()));
    Some(Given::default(ADDRESS_SUBJECT, address))
}

/// Reports what neither the user nor the host gave, unless the user tried.
fn missing(context: Context<'_>, subject: &'static str, message: &str, hint: &str) {
    if !context.broken && !context.problems.has(subject) {
        context.problems.add(&Origin::Default(subject), Wrong::new(message).hint(hint));
    }
}

/// Names of checks in lower case; `all` must be alone.
pub(super) fn ignored_checks(given: impl IntoIterator<Item = Given<String>>, problems: &Problems) -> Vec<String> {
    let (mut names, mut seen, mut all) = (vec![], HashSet::new(), None);
    for given in given {
        let name = given.value.to_lowercase();
        if name == "all" {
            all.get_or_insert(given.origin);
        }
        if !name.is_empty() && seen.insert(name.clone()) {
            names.push(name);
        }
    }
    if let Some(origin) = all.filter(|_| names.len() > 1) {
        problems.add(&origin, Wrong::new("\"all\" must stand alone").hint("remove the other checks"));
    }
    names
}
