//! Where a field belongs that stands in the wrong place.

use super::schema::DOCUMENTS;
use super::shape::Shape;

/// Says where a field of that name exists. Those of other commands are no place for what was meant for this node, and of the
/// two components' only the fields at the top.
pub(super) fn hint(key: &str) -> Option<String> {
    let mut homes = vec![];
    for (kind, _, shape) in
        DOCUMENTS.iter().filter(|(kind, ..)| matches!(*kind, "InitConfiguration" | "ClusterConfiguration"))
    {
        collect(shape, kind, key, &mut homes);
    }
    for (kind, _, shape) in DOCUMENTS.iter().filter(|(kind, ..)| kind.starts_with("Kube")).filter(|_| homes.is_empty())
    {
        if let Shape::Object(fields) = shape
            && has(fields, key)
        {
            homes = vec![(*kind).to_owned()];
            break;
        }
    }
    (!homes.is_empty()).then(|| format!("the field belongs to {}", homes.join(" or ")))
}

fn has(fields: &[(&str, Shape)], key: &str) -> bool {
    fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(key))
}

fn collect(shape: &Shape, path: &str, key: &str, homes: &mut Vec<String>) {
    match shape {
        Shape::Object(fields) => {
            if has(fields, key) {
                homes.push(path.to_owned());
            }
            for (name, shape) in *fields {
                collect(shape, &format!("{path}.{name}"), key, homes);
            }
        }
        Shape::Told(_, shape) => collect(shape, path, key, homes),
        _ => {}
    }
}
