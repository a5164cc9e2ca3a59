//! The strategic merge patch of Kubernetes (`apimachinery/pkg/util/strategicpatch/patch.go`, `mergeMap`).
//!
//! It merges maps, and lists whose type has a merge key; `null` deletes. Its directives: `$patch: replace` and
//! `$patch: delete` in a map or in an element, `$retainKeys`, `$deleteFromPrimitiveList/<list>` and
//! `$setElementOrder/<list>`.
//!
//! Three things are not as upstream. Of what a patch adds, upstream leaves some directives and nulls in the result, to
//! be dropped when the object is decoded; here none is left. It refuses an order of two empty lists. Where an order and
//! a deletion meet in one list, it sorts by a list that it has overwritten, and elements may come elsewhere.

use serde_json::{Map, Value};

use super::schema::{Merge, Type};

type Object = Map<String, Value>;
/// What does not fit, behind the path of the field.
type Merged<T> = Result<T, String>;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ELEMENT_ORDER: &str = "$setElementOrder/";

/// Merges a patch into an object of that type.
pub(super) fn merge(mut original: Object, mut patch: Object, of: Type) -> Merged<Object> {
    match patch.remove(DIRECTIVE) {
        None => {}
        Some(directive) if directive == "replace" => return Ok(additions(patch)),
        Some(directive) if directive == "delete" => return Ok(Object::new()),
        Some(directive) => return Err(unknown(&directive)),
    }
    if let Some(keys) = patch.remove(RETAIN_KEYS) {
        retain(&mut original, &patch, &keys)?;
    }
    for (name, order) in orders(&mut patch) {
        let result = ordered_field(&mut original, &mut patch, &name, &order, of);
        result.map_err(|why| format!("{name}: {why}"))?;
    }
    for (name, value) in patch {
        field(&mut original, &name, value, of).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(original)
}

fn unknown(directive: &Value) -> String {
    format!("{DIRECTIVE} is {directive}; in this place it can be \"replace\" or \"delete\"")
}

fn retain(original: &mut Object, patch: &Object, keys: &Value) -> Merged<()> {
    let keys = keys.as_array().ok_or_else(|| format!("{RETAIN_KEYS} is not a list"))?;
    let kept = |name: &String| keys.iter().any(|key| key == name);
    let forgotten = patch.iter().find(|(name, value)| !value.is_null() && !name.starts_with('$') && !kept(name));
    if let Some((name, _)) = forgotten {
        return Err(format!("{name} is given, but {RETAIN_KEYS} does not name it"));
    }
    original.retain(|name, _| kept(name));
    Ok(())
}

/// Takes the `$setElementOrder` directives out of a patch.
fn orders(patch: &mut Object) -> Vec<(String, Value)> {
    let lists: Vec<String> = patch.keys().filter_map(|name| name.strip_prefix(ELEMENT_ORDER)).map(Into::into).collect();
    lists.into_iter().filter_map(|list| patch.remove(&format!("{ELEMENT_ORDER}{list}")).map(|o| (list, o))).collect()
}

/// Merges a list and puts its elements in the order that the patch gives.
fn ordered_field(original: &mut Object, patch: &mut Object, name: &str, order: &Value, of: Type) -> Merged<()> {
    let key = if let Merge::Keyed(key, _) = of.field(name) { Some(key) } else { None };
    let order = list(order)?;
    let live = original.get(name).map(list).transpose()?.unwrap_or_default();
    let changes = patch.remove(name);
    if let Some(changes) = &changes {
        let deleted = |element: &&Value| element.get(DIRECTIVE).is_some();
        let given: Vec<Value> = list(changes)?.into_iter().filter(|element| !deleted(&element)).collect();
        follows(&given, &order, key)?;
    }
    if let Some(changes) = changes {
        field(original, name, changes, of)?;
    }
    let Some(merged) = original.remove(name) else { return Ok(()) };
    original.insert(name.to_owned(), arrange(list(&merged)?, &order, &live, key)?.into());
    Ok(())
}

/// Whether the elements of a patch come in the order that it asks for, none missing there.
fn follows(given: &[Value], order: &[Value], key: Option<&str>) -> Merged<()> {
    let mut rest = order.iter();
    for element in given.iter().filter(|_| !order.is_empty()) {
        let wanted = identity(element, key)?;
        if !rest.any(|next| identity(next, key).is_ok_and(|next| next == wanted)) {
            return Err(format!("{wanted} is not where {ELEMENT_ORDER} has it"));
        }
    }
    Ok(())
}

fn field(original: &mut Object, name: &str, value: Value, of: Type) -> Merged<()> {
    if let Some(list_name) = name.strip_prefix(DELETE_FROM) {
        let gone = list(&value)?;
        if let Some(Value::Array(elements)) = original.get_mut(list_name) {
            elements.retain(|element| !gone.contains(element));
        }
        return Ok(());
    }
    let merged = match (original.remove(name), value, of.field(name)) {
        (_, Value::Null, _) => return Ok(()),
        (Some(Value::Object(live)), Value::Object(patch), Merge::Plain(of) | Merge::Keyed(_, of)) => {
            Some(merge(live, patch, of)?.into())
        }
        (Some(Value::Array(live)), Value::Array(patch), Merge::Keyed(key, of)) => {
            Some(keyed(live, patch, key, of)?.into())
        }
        (Some(Value::Array(live)), Value::Array(patch), Merge::Set) => Some(set(&live, &patch)?.into()),
        (_, value, _) => addition(value),
    };
    original.extend(merged.map(|merged| (name.to_owned(), merged)));
    Ok(())
}

/// Merges lists of maps whose elements are told apart by `key`.
fn keyed(mut live: Vec<Value>, patch: Vec<Value>, key: &str, of: Type) -> Merged<Vec<Value>> {
    let mut changes = vec![];
    let mut replaces = false;
    for element in patch {
        match element.get(DIRECTIVE) {
            None => changes.push(element),
            Some(directive) if directive == "replace" => replaces = true,
            Some(directive) if directive == "delete" => {
                let gone = identity(&element, Some(key))?;
                live.retain(|element| element.get(key) != Some(gone));
            }
            Some(directive) => return Err(unknown(directive)),
        }
    }
    if replaces {
        return Ok(changes.into_iter().filter_map(addition).collect());
    }
    let mut merged = live.clone();
    for change in changes.clone() {
        let wanted = identity(&change, Some(key))?.clone();
        match (merged.iter_mut().find(|element| element.get(key) == Some(&wanted)), change) {
            (Some(Value::Object(found)), Value::Object(change)) => {
                *found = merge(std::mem::take(found), change, of).map_err(|why| format!("{wanted}: {why}"))?;
            }
            (_, change) => merged.extend(addition(change)),
        }
    }
    arrange(merged, &changes, &live, Some(key))
}

/// Merges lists of scalars, each of which is there once.
fn set(live: &[Value], patch: &[Value]) -> Merged<Vec<Value>> {
    let mut merged: Vec<Value> = vec![];
    for element in live.iter().chain(patch) {
        if !merged.contains(element) {
            merged.push(element.clone());
        }
    }
    arrange(merged, patch, live, None)
}

/// Puts the elements that `order` names in its order, the others in theirs; of two neighbours from both groups the one
/// that was first in `live` goes first, and what is new goes before what is not (`normalizeElementOrder`).
fn arrange(elements: Vec<Value>, order: &[Value], live: &[Value], key: Option<&str>) -> Merged<Vec<Value>> {
    let place = |element: &Value, among: &[Value]| -> Merged<Option<usize>> {
        let wanted = identity(element, key)?;
        Ok(among.iter().position(|other| identity(other, key).is_ok_and(|other| other == wanted)))
    };
    let (mut named, mut others) = (vec![], vec![]);
    for element in elements {
        let before = place(&element, live)?;
        match place(&element, order)? {
            Some(index) => named.push((index, before, element)),
            None => others.push((before, element)),
        }
    }
    named.sort_by_key(|(index, ..)| *index);
    others.sort_by_key(|(before, _)| *before);
    let mut others = others.into_iter().peekable();
    let mut arranged = vec![];
    for (_, before, element) in named {
        let earlier = |other: &(Option<usize>, Value)| other.0.zip(before).is_some_and(|(other, own)| other < own);
        arranged.extend(std::iter::from_fn(|| others.next_if(earlier)).map(|(_, other)| other));
        arranged.push(element);
    }
    arranged.extend(others.map(|(_, other)| other));
    Ok(arranged)
}

/// What an element is recognised by: the value of its key, or itself.
fn identity<'v>(element: &'v Value, key: Option<&str>) -> Merged<&'v Value> {
    let Some(key) = key else { return Ok(element) };
    element.get(key).ok_or_else(|| format!("an element has no {key}, by which it would be found"))
}

fn list(value: &Value) -> Merged<Vec<Value>> {
    value.as_array().cloned().ok_or_else(|| "a list is expected".to_owned())
}

/// What a patch adds where nothing is: a map with `$patch` adds nothing, and there is nothing that a `null` deletes.
fn addition(value: Value) -> Option<Value> {
    match value {
        Value::Object(members) if members.contains_key(DIRECTIVE) => None,
        Value::Object(members) => Some(additions(members).into()),
        Value::Array(elements) => Some(elements.into_iter().filter_map(addition).collect()),
        scalar => Some(scalar),
    }
}

fn additions(members: Object) -> Object {
    let plain = |(name, value): &(String, Value)| {
        let directive = name == RETAIN_KEYS || name.starts_with(DELETE_FROM) || name.starts_with(ELEMENT_ORDER);
        !directive && !value.is_null()
    };
    members.into_iter().filter(plain).filter_map(|(name, value)| Some((name, addition(value)?))).collect()
}
