use super::*;
use crate::cli::import::{Importer, Mapping};
use policy::schema::{FieldType, Schema, parse};

struct Folder(std::path::PathBuf);

impl Folder {
    fn with(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("silhouette-infer-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join(name), bytes).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Drafts, and checks that the draft imports the whole file.
fn draft(name: &str, bytes: &[u8], ask: &mut dyn Ask) -> (Draft, Schema) {
    let folder = Folder::with(name, bytes);
    let draft = infer(&folder.0.join(name), "shop", ask).unwrap();
    let schema = parse(&draft.schema).map_err(|e| format!("{e}\n{}", draft.schema)).unwrap();
    let mapping = Mapping::parse(&draft.mapping, &schema).map_err(|e| format!("{e}\n{}", draft.mapping)).unwrap();
    let mut importer = Importer::new(mapping, &folder.0).unwrap();
    while let Some(step) = importer.step(100).unwrap() {
        assert_eq!(step.quarantined, [], "{}\n{}", draft.schema, draft.mapping);
    }
    (draft, schema)
}

fn profiles() -> Vec<u8> {
    let mut csv = "CustomerID,Age,Region,Opted In,Balance,Joined,E-Mail,Postcode,Notes,In\n".to_owned();
    for i in 0..40 {
        let region = ["north", "south", "NA"].get(i % 3).copied().unwrap_or_default();
        csv += &format!(
            "{},{},{region},{},-{i}.50,2019-0{}-01,p{i}@example.org,0{i},{},{i}\n",
            1000 + i,
            20 + i,
            i % 2,
            1 + i % 9,
            "x".repeat(300)
        );
    }
    csv.into_bytes()
}

#[test]
fn a_file_of_people_becomes_attributes() {
    let (draft, schema) = draft("people.csv", &profiles(), &mut Nobody);
    let ty = |name: &str| schema.attribute(name).map(|field| field.ty.clone());
    assert_eq!(schema.attributes.first().map(|f| f.name.to_string()), Some("customer_id".into()));
    assert_eq!(ty("age"), Some(FieldType::Integer { min: 0, max: 100 }));
    assert_eq!(ty("region"), Some(FieldType::Enum { domain: vec!["north".into(), "south".into()] }));
    assert_eq!(ty("opted_in"), Some(FieldType::Bool));
    assert_eq!(ty("balance"), Some(FieldType::Decimal { scale: 1, min: -500, max: 0 }));
    assert!(matches!(ty("joined"), Some(FieldType::Date { .. })));
    assert_eq!(ty("e_mail"), Some(FieldType::Identifier { max_bytes: 32 }));
    assert!(matches!(ty("postcode"), Some(FieldType::Identifier { .. })));
    assert_eq!(ty("notes"), None);
    assert!(ty("in_field").is_some());
    assert!(draft.mapping.contains("null = [\"NA\"]"));
    assert!(draft.schema.contains("# is this list public?"));
    assert!(draft.notes.iter().any(|note| note == "Region: is its list of 2 values public?"), "{:?}", draft.notes);
    assert!(draft.notes.first().is_some_and(|note| note.contains("not private until you confirm")));
}

#[test]
fn a_file_in_which_people_repeat_becomes_events() {
    let csv = b"when;member_no;category;amount\n01/02/2020 10:30;m1;cheese;3,50\n28/02/2020 09:00;m1;honey;1.000\n\
                02/03/2020 10:30;m2;cheese;12\n02/03/2020 10:31;m2;cheese;12\n02/03/2020 10:32;m2;honey;12\n\
                02/03/2020 10:33;m2;honey;12\n02/03/2020 10:34;m2;honey;12\n02/03/2020 10:35;m2;honey;12\n";
    let csv = String::from_utf8(csv.to_vec()).unwrap().replace("1.000", "1000");
    let (draft, schema) = draft("orders.csv", csv.as_bytes(), &mut Nobody);
    let event = schema.event("order").unwrap();
    assert_eq!(event.fields.iter().map(|f| f.name.to_string()).collect::<Vec<_>>(), ["category", "amount"]);
    assert!(draft.mapping.contains("format = \"%d/%m/%Y %H:%M\""));
    assert!(draft.mapping.contains("decimal_mark = \",\""));
    assert_eq!(schema.attributes.len(), 1);
}

#[test]
fn whoever_knows_decides_what_is_public_and_who_the_subject_is() {
    struct Knows;
    impl Ask for Knows {
        fn subject(&mut self, columns: &[String], guess: &str) -> String {
            assert_eq!(guess, "CustomerID");
            assert!(columns.contains(&"E-Mail".to_owned()));
            "E-Mail".to_owned()
        }
        fn is_public(&mut self, column: &str, values: &[String]) -> Option<bool> {
            assert_eq!((column, values.len()), ("Region", 2));
            Some(false)
        }
    }
    let (draft, schema) = draft("people.csv", &profiles(), &mut Knows);
    assert_eq!(schema.attributes.first().map(|f| f.name.to_string()), Some("e_mail".into()));
    assert!(matches!(schema.attribute("region").unwrap().ty, FieldType::Identifier { .. }));
    assert!(!draft.schema.contains("north"));
}

#[test]
fn bounds_are_rounded_outward_and_names_made_fit() {
    assert_eq!(column::field_name("CustomerID"), "customer_id");
    assert_eq!(column::field_name("  2nd Größe % "), "f_2nd_gr_e");
    assert_eq!(column::field_name("InvoiceNo"), "invoice_no");
    assert_eq!(column::field_name("in"), "in_field");
    let csv = b"person_id,score\na,-3\nb,17\n";
    let (_, schema) = draft("x.csv", csv, &mut Nobody);
    assert_eq!(schema.attribute("score").unwrap().ty, FieldType::Integer { min: -5, max: 20 });
}

#[test]
fn notes_and_errors_hold_no_values() {
    let (draft, _) = draft("people.csv", &profiles(), &mut Nobody);
    let notes = draft.notes.join("\n");
    assert!(!notes.contains("north") && !notes.contains("@"));
    let folder = Folder::with("empty.csv", b"");
    assert!(matches!(infer(&folder.0.join("empty.csv"), "shop", &mut Nobody), Err(ImportError::NoHeader { .. })));
}

#[test]
fn rows_that_name_nobody_are_left_out() {
    let csv = b"customer_id,at,n\n1,2020-01-01,5\n,2020-01-01,6\n1,2020-01-02,7\n";
    let (draft, _) = draft("visits.csv", csv, &mut Nobody);
    assert!(draft.mapping.contains("where = { column = \"customer_id\", empty = false }"));
    assert!(draft.notes.iter().any(|note| note.contains("name no subject")));
}
