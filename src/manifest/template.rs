//! The embedded templates and the one engine that renders them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use tera::Tera;

use super::Component;
use super::context::Context;
use super::yaml;

/// The template of every component, by its file name.
pub const TEMPLATES: [(Component, &str, &str); 4] = [
    (Component::Etcd, "etcd.yaml", include_str!("../../templates/static-pods/etcd.yaml")),
    (Component::ApiServer, "kube-apiserver.yaml", include_str!("../../templates/static-pods/kube-apiserver.yaml")),
    (
        Component::ControllerManager,
        "kube-controller-manager.yaml",
        include_str!("../../templates/static-pods/kube-controller-manager.yaml"),
    ),
    (Component::Scheduler, "kube-scheduler.yaml", include_str!("../../templates/static-pods/kube-scheduler.yaml")),
];

/// What the templates include, by its file name.
pub const PARTS: [(&str, &str); 5] = [
    ("_command.yaml", include_str!("../../templates/static-pods/_command.yaml")),
    ("_http_get.yaml", include_str!("../../templates/static-pods/_http_get.yaml")),
    ("_metadata.yaml", include_str!("../../templates/static-pods/_metadata.yaml")),
    ("_volume_mounts.yaml", include_str!("../../templates/static-pods/_volume_mounts.yaml")),
    ("_volumes.yaml", include_str!("../../templates/static-pods/_volumes.yaml")),
];

/// Parsed once; a template that does not parse is reported by every rendering, and by the first test.
static ENGINE: LazyLock<Result<Tera, String>> = LazyLock::new(|| {
    let mut engine = Tera::new();
    engine.set_escape_fn(yaml::escape);
    engine.autoescape_on([".yaml"]);
    // A part begins with its own line break and ends without one: it stands in the middle of a document.
    let parts = PARTS.iter().map(|(name, text)| (*name, text.trim_end()));
    let templates = TEMPLATES.iter().map(|(_, name, text)| (*name, *text));
    engine.add_raw_templates(parts.chain(templates)).map_err(|error| error.to_string())?;
    Ok(engine)
});

fn engine() -> Result<&'static Tera, String> {
    ENGINE.as_ref().map_err(Clone::clone)
}

fn file(component: Component) -> String {
    format!("{component}.yaml")
}

/// Renders the template of the context's component.
pub(super) fn render(context: &Context, digest: &str) -> Result<String, String> {
    let mut values = tera::Context::from_serialize(context).map_err(|error| error.to_string())?;
    values.insert("digest", digest);
    // The only values that are not escaped by the engine: they are escaped already, string by string.
    let env: Vec<_> = context.env.iter().map(|variable| tera::Value::safe_string(&yaml::flow(variable))).collect();
    values.insert_value("env", env.into());
    engine()?.render(&file(context.component), &values).map_err(|error| error.to_string())
}

/// The variables that the template of a component uses, those of its parts included.
pub fn variables(component: Component) -> Result<BTreeSet<String>, String> {
    let names = engine()?.get_template_variables(&file(component)).map_err(|error| error.to_string())?;
    Ok(names.into_iter().map(str::to_owned).collect())
}
