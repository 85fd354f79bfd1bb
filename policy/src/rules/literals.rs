//! Misspelt words that Cedar cannot see: `context.basis` and `resource.class` are strings to it, and a forbid that
//! compares one with a word that does not exist would never apply.

use crate::consent::LawfulBasis;
use crate::schema::FieldClass;
use serde_json::Value;

/// Returns what is wrong with the first comparison of an attribute with a word it can never hold. `policy` is a policy's
/// JSON form.
pub(super) fn misspelt(policy: &Value) -> Option<String> {
    match policy {
        Value::Array(items) => items.iter().find_map(misspelt),
        Value::Object(entries) => entries.iter().find_map(|(operator, operands)| {
            let compares = matches!(operator.as_str(), "==" | "!=" | "contains");
            let here = compares.then(|| comparison(operands.get("left")?, operands.get("right")?)).flatten();
            here.or_else(|| misspelt(operands))
        }),
        _ => None,
    }
}

fn comparison(left: &Value, right: &Value) -> Option<String> {
    let (attribute, words, other) = match (vocabulary(left), vocabulary(right)) {
        (Some((attribute, words)), _) => (attribute, words, right),
        (None, Some((attribute, words))) => (attribute, words, left),
        (None, None) => return None,
    };
    let unknown = literals(other).find(|literal| !words.contains(literal))?;
    Some(format!("`{attribute}` is never `{unknown}`; it is one of {}", words.join(", ")))
}

/// Returns the words an attribute can hold, if the expression reads one of ours.
fn vocabulary(expression: &Value) -> Option<(&'static str, Vec<&'static str>)> {
    let access = expression.get(".")?;
    let of = access.get("left")?.get("Var")?.as_str()?;
    match (of, access.get("attr")?.as_str()?) {
        ("context", "basis") => Some(("context.basis", LawfulBasis::ALL.map(LawfulBasis::as_str).to_vec())),
        ("resource", "class") => Some(("resource.class", FieldClass::ALL.map(FieldClass::as_str).to_vec())),
        _ => None,
    }
}

/// Lists the string literals of a literal, or of a set of them.
fn literals(expression: &Value) -> impl Iterator<Item = &str> {
    let set = expression.get("Set").and_then(Value::as_array);
    let items = set.map_or(std::slice::from_ref(expression), Vec::as_slice);
    items.iter().filter_map(|item| item.get("Value")?.as_str())
}
