//! That the list of seeded faults has not rotted.

use crate::list::{List, root};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_fault_has_its_place_its_reason_and_its_tests() {
    let list = List::read().unwrap();
    assert!(list.mutant.len() >= 14, "{} faults", list.mutant.len());
    let names: BTreeSet<&str> = list.mutant.iter().map(|mutant| mutant.name.as_str()).collect();
    assert_eq!(names.len(), list.mutant.len(), "names are different");
    for mutant in &list.mutant {
        assert!(!mutant.edits.is_empty() && !mutant.tests.is_empty(), "{}", mutant.name);
        assert!(mutant.why.split_whitespace().count() >= 5, "{} says why it would be a lie", mutant.name);
        for edit in &mutant.edits {
            let text = std::fs::read_to_string(root().join(&edit.file)).unwrap();
            edit.apply(&text).unwrap_or_else(|problem| panic!("{}: {problem}", mutant.name));
        }
        for test in &mutant.tests {
            let word = format!("fn {}(", test.rsplit("::").next().unwrap());
            let folder = if mutant.target == "lib" { format!("{}/src", mutant.package) } else { "tests/stat".into() };
            assert!(is_in(&root().join(&folder), &word), "{}: no `{word}` in {folder}", mutant.name);
        }
    }
}

fn is_in(folder: &Path, word: &str) -> bool {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        if path.is_dir() {
            is_in(&path, word)
        } else {
            is_source && std::fs::read_to_string(&path).unwrap().contains(word)
        }
    })
}
