//! Whose request it is, and what is to be corrected: from a file or from what is typed, so that it is in no list of processes
//! and no shell history.

use crate::cli::args::Whose;
use crate::cli::error::CliError;
use proto::v1::Rectification;
use std::io::{IsTerminal, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// Reads the one person that a request is for.
pub fn one(whose: &Whose) -> Result<Zeroizing<String>, CliError> {
    let text = given(whose)?;
    let mut lines = keys(&text);
    match (lines.next(), lines.next()) {
        (Some(key), None) => Ok(Zeroizing::new(key.to_owned())),
        (None, _) => Err(CliError::usage("no subject key was given").hint("one line, from a file or typed")),
        (Some(_), Some(_)) => Err(CliError::usage("this is for one person at a time, and several lines were given")),
    }
}

/// Reads the people that a request is for, one a line.
pub fn several(whose: &Whose) -> Result<Vec<String>, CliError> {
    let people: Vec<String> = keys(&given(whose)?).map(str::to_owned).collect();
    if people.is_empty() {
        return Err(CliError::usage("no subject key was given").hint("one a line, from a file or typed"));
    }
    Ok(people)
}

/// Reads the two that are one person: the one first that stands for both.
pub fn two(whose: &Whose) -> Result<(String, String), CliError> {
    let asked = whose.subject.is_none() && whose.subject_file.is_none() && std::io::stdin().is_terminal();
    let text = match asked {
        true => Zeroizing::new(
            [typed("Who stands for both?")?, typed("And the other?")?].map(|key| key.to_string()).concat(),
        ),
        false => given(whose)?,
    };
    match keys(&text).collect::<Vec<_>>().as_slice() {
        [first, second] => Ok(((*first).to_owned(), (*second).to_owned())),
        _ => Err(CliError::usage("a link is of two")
            .hint("two subject keys, one a line, the one first that stands for both")),
    }
}

fn keys(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty())
}

fn given(whose: &Whose) -> Result<Zeroizing<String>, CliError> {
    match (&whose.subject, &whose.subject_file) {
        (Some(key), _) if key != "-" => Ok(Zeroizing::new(key.clone())),
        (_, Some(path)) => {
            std::fs::read_to_string(path).map(Zeroizing::new).map_err(|problem| CliError::file(path, &problem))
        }
        _ => typed("Whose?"),
    }
}

/// Reads a line that a person types, or all that a program sends.
fn typed(question: &str) -> Result<Zeroizing<String>, CliError> {
    let input = std::io::stdin();
    if input.is_terminal() {
        say(&format!("{question} The subject key: "))?;
        let mut line = Zeroizing::new(String::new());
        input.read_line(&mut line)?;
        return Ok(line);
    }
    Ok(Zeroizing::new(std::io::read_to_string(input)?))
}

/// Has a person say that they mean it; a program says `--yes`.
pub fn confirm(question: &str) -> Result<(), CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::usage("an erasure can't be undone").hint("say --yes if it is meant"));
    }
    say(&format!("{question} It can't be undone. Type erase to go on: "))?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if line.trim() == "erase" { Ok(()) } else { Err(CliError::failed("not confirmed; nobody was erased")) }
}

/// Questions go to standard error, so that results can be piped.
fn say(words: &str) -> Result<(), CliError> {
    Ok(std::io::stderr().write_all(words.as_bytes())?)
}

/// Reads what is to be corrected: `field=value` of the command line, fields to empty, and a file of such lines, where a
/// field without `=` is emptied.
pub fn values(set: Vec<String>, empty: Vec<String>, file: Option<&Path>) -> Result<Vec<Rectification>, CliError> {
    let mut values = Vec::new();
    for line in &set {
        values.push(assigned(line).ok_or_else(|| CliError::usage("--set takes FIELD=VALUE"))?);
    }
    values.extend(empty.into_iter().map(|field| Rectification { field, text: None }));
    if let Some(path) = file {
        let text =
            std::fs::read_to_string(path).map(Zeroizing::new).map_err(|problem| CliError::file(path, &problem))?;
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let emptied = || Rectification { field: line.trim().to_owned(), text: None };
            values.push(assigned(line).unwrap_or_else(emptied));
        }
    }
    if values.is_empty() {
        return Err(
            CliError::usage("nothing to correct").hint("give --values FILE, --set FIELD=VALUE or --empty FIELD")
        );
    }
    Ok(values)
}

fn assigned(line: &str) -> Option<Rectification> {
    let (field, text) = line.split_once('=')?;
    Some(Rectification { field: field.trim().to_owned(), text: Some(text.trim().to_owned()) })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::cli::args::common::Of;

    fn whose(key: &str) -> Whose {
        let (subject_file, identity) = (None, String::new());
        Whose { subject: Some(key.to_owned()), subject_file, identity, of: Of { dataset: "shop".to_owned() } }
    }

    #[test]
    fn a_request_is_for_one_person_and_an_erasure_for_some() {
        assert_eq!(one(&whose("c 1")).unwrap().as_str(), "c 1");
        assert!(one(&whose("c1\nc2")).unwrap_err().words().contains("one person"));
        assert!(one(&whose("")).unwrap_err().words().contains("no subject key"));
        assert_eq!(two(&whose("c1\nc2")).unwrap(), ("c1".to_owned(), "c2".to_owned()));
        assert!(two(&whose("c1")).unwrap_err().words().contains("a link is of two"));
        assert_eq!(several(&whose("c1\r\n\nc2\n")).unwrap(), ["c1", "c2"]);
    }

    #[test]
    fn corrections_are_set_or_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("values");
        std::fs::write(&file, "# as written on the form\nregion = north\n\nnote=a=b\nage_band\n").unwrap();
        let values = values(vec!["kids=2".to_owned()], vec!["income".to_owned()], Some(&file)).unwrap();
        let read: Vec<_> = values.iter().map(|value| (value.field.as_str(), value.text.as_deref())).collect();
        let expected = [
            ("kids", Some("2")),
            ("income", None),
            ("region", Some("north")),
            ("note", Some("a=b")),
            ("age_band", None),
        ];
        assert_eq!(read, expected);
        let problem = super::values(vec!["secret".to_owned()], Vec::new(), None).unwrap_err();
        assert!(!problem.words().contains("secret"), "a value may stand where the field should");
    }
}
