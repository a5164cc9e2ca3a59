//! `InitConfiguration` as it was given.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::fields::{Fields, Item};
use super::given::{Given, Problems, Wrong, quoted};
use super::shape::Shape;
use super::{Arg, BootstrapToken, Taint, node, tokens, value};
use crate::token::CertificateKey;

#[derive(Debug, Default)]
pub(super) struct Init {
    pub(super) node: Node,
    pub(super) advertise_address: Option<Given<String>>,
    pub(super) bind_port: Option<Given<i64>>,
    pub(super) bootstrap_tokens: Vec<BootstrapToken>,
    pub(super) certificate_key: Option<CertificateKey>,
    pub(super) skip_phases: Vec<Given<String>>,
    pub(super) patches_directory: Option<Given<String>>,
    pub(super) dry_run: bool,
    pub(super) timeouts: Timeouts,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) name: Option<Given<String>>,
    pub(super) cri_socket: Option<Given<String>>,
    /// `None` when not given, which is not the same as an empty list.
    pub(super) taints: Option<Vec<Taint>>,
    pub(super) kubelet_extra_args: Vec<Arg>,
    pub(super) ignore_preflight_errors: Vec<Given<String>>,
    pub(super) image_pull_policy: Option<Given<String>>,
    pub(super) image_pull_serial: Option<bool>,
}

#[derive(Debug, Default)]
pub(super) struct Timeouts {
    pub(super) control_plane_component_health_check: Option<Given<String>>,
    pub(super) kubelet_health_check: Option<Given<String>>,
    pub(super) kubernetes_api_call: Option<Given<String>>,
    pub(super) etcd_api_call: Option<Given<String>>,
    /// `upgradeManifests`; only `upgrade` asks for it.
    pub(super) upgrade_manifests: Option<Given<String>>,
    /// Those of join: checked, not used.
    pub(super) others: Vec<Given<String>>,
}

pub(super) fn read(fields: &mut Fields<'_>) -> Init {
    let (advertise_address, bind_port) = fields.object("localAPIEndpoint", endpoint).unwrap_or_default();
    Init {
        node: fields.object("nodeRegistration", node).unwrap_or_default(),
        advertise_address,
        bind_port,
        bootstrap_tokens: fields.item("bootstrapTokens", tokens::tokens).unwrap_or_default(),
        certificate_key: tokens::certificate_key(fields),
        skip_phases: fields.strings("skipPhases").unwrap_or_default(),
        patches_directory: fields.object("patches", |patches| patches.string("directory")).flatten(),
        dry_run: fields.boolean("dryRun").unwrap_or_default(),
        timeouts: fields.object("timeouts", timeouts).unwrap_or_default(),
    }
}

pub(super) fn endpoint(fields: &mut Fields<'_>) -> (Option<Given<String>>, Option<Given<i64>>) {
    (fields.string("advertiseAddress"), fields.integer("bindPort"))
}

pub(super) fn node(fields: &mut Fields<'_>) -> Node {
    Node {
        name: fields.string("name"),
        cri_socket: fields.string("criSocket"),
        taints: fields.item("taints", taints),
        kubelet_extra_args: args(fields, "kubeletExtraArgs"),
        ignore_preflight_errors: fields.strings("ignorePreflightErrors").unwrap_or_default(),
        image_pull_policy: fields.string("imagePullPolicy"),
        image_pull_serial: fields.boolean("imagePullSerial"),
    }
}

impl Node {
    /// Judges what stays as it is given: the node of another command.
    pub(super) fn judge(self, problems: &Problems) {
        self.name.map(|name| name.check(problems, |name| value::node_name(name)));
        self.cri_socket.map(|socket| socket.check(problems, |socket| value::cri_socket(socket)));
        self.image_pull_policy.map(|policy| policy.check(problems, |text| node::pull_policy(text)));
        node::ignored_checks(self.ignore_preflight_errors, problems);
    }
}

/// `ignorePreflightErrors` of another command.
pub(super) fn ignored_checks(fields: &mut Fields<'_>) {
    node::ignored_checks(fields.strings("ignorePreflightErrors").unwrap_or_default(), fields.problems());
}

/// What joining has as well, judged only.
pub(super) fn phases_patches_timeouts(fields: &mut Fields<'_>) {
    let problems = fields.problems();
    fields.strings("skipPhases");
    if let Some(directory) = fields.object("patches", |fields| fields.string("directory")).flatten() {
        directory.check(problems, |path| value::directory(path));
    }
    fields.object("timeouts", |fields| timeouts(fields).judge(problems));
}

impl Timeouts {
    /// Judges all of them: another command's.
    pub(super) fn judge(self, problems: &Problems) {
        let ours = [
            self.control_plane_component_health_check,
            self.kubelet_health_check,
            self.kubernetes_api_call,
            self.etcd_api_call,
            self.upgrade_manifests,
        ];
        for given in ours.into_iter().flatten().chain(self.others) {
            given.check(problems, |text| value::duration(text));
        }
    }
}

pub(super) fn timeouts(fields: &mut Fields<'_>) -> Timeouts {
    Timeouts {
        control_plane_component_health_check: fields.string("controlPlaneComponentHealthCheck"),
        kubelet_health_check: fields.string("kubeletHealthCheck"),
        kubernetes_api_call: fields.string("kubernetesAPICall"),
        etcd_api_call: fields.string("etcdAPICall"),
        upgrade_manifests: fields.string("upgradeManifests"),
        others: ["tlsBootstrap", "discovery"].into_iter().filter_map(|n| fields.string(n)).collect(),
    }
}

fn taints(item: Item<'_>) -> Option<Vec<Taint>> {
    let taints = item.list(|item| item.object(taint).flatten())?;
    let mut seen = HashSet::new();
    for Taint { key, effect, .. } in &taints {
        if !seen.insert((key, effect)) {
            let what = quoted(&format!("{key}:{effect}"));
            item.report(Wrong::new(format!("the taint {what} is given twice")));
        }
    }
    Some(taints)
}

fn taint(fields: &mut Fields<'_>) -> Option<Taint> {
    fields.refuse("timeAdded", "remove it: the cluster sets it");
    let (key, value, effect) = (fields.string("key"), fields.string("value"), fields.string("effect"));
    for (name, given) in [("key", &key), ("effect", &effect)] {
        if given.is_none() {
            fields.missing(name);
        }
    }
    let (key, effect) = (key?, effect?);
    let problems = fields.problems();
    key.check(problems, |key| value::qualified_name(key));
    let value = value.and_then(|value| value.check(problems, |value| value::label_value(value)));
    effect.check(problems, |effect| value::one_of(effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]));
    Some(Taint { key: key.value, value: value.unwrap_or_default(), effect: effect.value })
}

/// Flags of a component.
pub(super) fn args(fields: &mut Fields<'_>, name: &'static str) -> Vec<Arg> {
    fields.list(name, |item| item.object(arg).flatten()).unwrap_or_default()
}

fn arg(fields: &mut Fields<'_>) -> Option<Arg> {
    let (name, value) = (fields.string("name"), fields.string("value"));
    let Some(name) = name else {
        fields.missing("name");
        return None;
    };
    let value = value.map(|value| value.value).unwrap_or_default();
    name.check(fields.problems(), |name| arg_name(name))?;
    Some(Arg { name: name.value, value })
}

fn arg_name(name: &str) -> Result<(), Wrong> {
    let bare = name.trim_start_matches('-');
    if let Some((flag, value)) = bare.split_once('=') {
        let hint = format!("write name: {} and value: {}", quoted(flag), quoted(value));
        return Err(Wrong::new(format!("{} is a flag with its value", quoted(name))).hint(hint));
    }
    if bare.len() != name.len() {
        let hint = format!("write it without dashes: {}", quoted(bare));
        return Err(Wrong::new(format!("{} begins with a dash", quoted(name))).hint(hint));
    }
    if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Wrong::new(format!("{} contains white space", quoted(name))));
    }
    Ok(())
}

/// Environment variables, `core/v1` `EnvVar` objects.
pub(super) fn envs(fields: &mut Fields<'_>) -> Vec<Json> {
    fields.list("extraEnvs", env).unwrap_or_default()
}

const API_OBJECT: Shape = Shape::Refused("a static pod cannot refer to objects of the API", "write the value itself");

/// `core/v1` EnvVar.
pub(super) const ENV: Shape = Shape::Object(&[
    ("name", Shape::Text),
    ("value", Shape::Text),
    (
        "valueFrom",
        Shape::Object(&[
            ("fieldRef", Shape::Object(&[("apiVersion", Shape::Text), ("fieldPath", Shape::Text)])),
            (
                "resourceFieldRef",
                Shape::Object(&[
                    ("containerName", Shape::Text),
                    ("resource", Shape::Text),
                    ("divisor", Shape::Quantity),
                ]),
            ),
            ("configMapKeyRef", API_OBJECT),
            ("secretKeyRef", API_OBJECT),
            ("fileKeyRef", API_OBJECT),
        ]),
    ),
]);

fn env(item: Item<'_>) -> Option<Json> {
    let mut env = ENV.read(item)?;
    let report = |name: &'static str, wrong| {
        item.problems.at(&item.child(name).to_string(), item.mark_of(name), wrong);
    };
    match env.get("name").and_then(Json::as_str) {
        None | Some("") => report("name", Wrong::new("name is missing")),
        Some(name) if name.contains('=') || !name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
            report("name", Wrong::new(format!("{} is not the name of an environment variable", quoted(name))));
        }
        Some(_) => {}
    }
    let has_value = env.get("value").and_then(Json::as_str).is_some_and(|value| !value.is_empty());
    if let Some(Json::Object(source)) = env.get_mut("valueFrom") {
        if has_value {
            report("valueFrom", Wrong::new("value and valueFrom exclude each other"));
        }
        if let Some(Json::Object(field)) = source.get_mut("fieldRef") {
            field.entry("apiVersion").or_insert_with(|| "v1".into());
        }
    }
    Some(env)
}
