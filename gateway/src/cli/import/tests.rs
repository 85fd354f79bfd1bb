use super::*;
use policy::schema::{self, Schema};
use std::path::PathBuf;

const SCHEMA: &str = r#"
version = 1
dataset = "shop"
organization = "maker"
time_zone = "Europe/Paris"
subject_key = "customer"
purposes = ["marketing.segmentation", "marketing.portrait", "sharing.partner.crmco"]

[[attributes]]
name = "customer"
class = "identifier"
type = "identifier"
max_bytes = 12

[[attributes]]
name = "age_band"
class = "quasi_identifier"
type = "enum"
domain = ["0-17", "18-34", "35+", "other"]

[[attributes]]
name = "newsletter"
class = "behavioral"
type = "bool"

[[attributes]]
name = "joined"
class = "behavioral"
type = "date"
min = "2000-01-01"
max = "2030-12-31"

[[attributes]]
name = "email"
class = "identifier"
type = "identifier"
max_bytes = 20

[[events]]
name = "order"

[[events.fields]]
name = "amount"
class = "behavioral"
type = "decimal"
scale = 2
min = "-100.00"
max = "100000.00"

[[events.fields]]
name = "category"
class = "behavioral"
type = "enum"
domain = ["cheese", "honey", "(unknown)"]

[[events.fields]]
name = "hour"
class = "behavioral"
type = "integer"
min = 0
max = 23

[[events]]
name = "view"

[[events.fields]]
name = "category"
class = "behavioral"
type = "enum"
domain = ["cheese", "honey"]
"#;

fn shop() -> Schema {
    schema::parse(SCHEMA).unwrap()
}

/// A folder of files that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn with(files: &[(&str, &[u8])]) -> Self {
        let path = std::env::temp_dir().join(format!("silhouette-import-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        for (name, bytes) in files {
            std::fs::write(path.join(name), bytes).unwrap();
        }
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
struct Outcome {
    records: Vec<Record>,
    quarantined: Vec<Quarantined>,
    reports: Vec<FileReport>,
}

impl Outcome {
    /// Profiles as text: `key: value value ..`.
    fn profiles(&self) -> Vec<String> {
        let profile = |record: &Record| match &record.body {
            Body::Profile(values) => Some(format!("{}: {}", record.subject.expose(), shown(values))),
            _ => None,
        };
        self.records.iter().filter_map(profile).collect()
    }

    /// Events as text: `key @micros: value value ..`.
    fn events(&self) -> Vec<String> {
        let event = |record: &Record| match &record.body {
            Body::Event { at, values, .. } => Some(format!("{} @{}: {}", record.subject.expose(), at.0, shown(values))),
            _ => None,
        };
        self.records.iter().filter_map(event).collect()
    }

    fn ids(&self) -> Vec<u64> {
        let id = |record: &Record| match &record.body {
            Body::Event { id, .. } => Some(*id),
            _ => None,
        };
        self.records.iter().filter_map(id).collect()
    }

    /// Consents as text: `key purpose act`.
    fn consents(&self) -> Vec<String> {
        let consent = |record: &Record| match &record.body {
            Body::Consent(c) => Some(format!("{} {} {:?} {:?}", record.subject.expose(), c.purpose, c.act, c.expires)),
            _ => None,
        };
        self.records.iter().filter_map(consent).collect()
    }

    /// How each consent was collected: method, language, notice.
    fn asked(&self) -> Vec<String> {
        let asked = |record: &Record| match &record.body {
            Body::Consent(c) => {
                let method = c.method.map_or("-".to_owned(), |method| format!("{method:?}"));
                let language = c.language.as_ref().map_or("-", |language| language.as_str());
                Some(format!("{method} {language} {}", c.notice.as_ref().map_or("-", |notice| notice.as_str())))
            }
            _ => None,
        };
        self.records.iter().filter_map(asked).collect()
    }

    /// Quarantined rows as text: `file:line column reason`.
    fn faults(&self) -> Vec<String> {
        let text = |q: &Quarantined| format!("{}:{} {}: {}", q.file, q.line, q.fault.column, q.fault.reason);
        self.quarantined.iter().map(text).collect()
    }

    /// (read, accepted, quarantined, filtered) of the first file.
    fn counts(&self) -> (u64, u64, u64, u64) {
        let report = &self.reports[0];
        assert!(self.reports.iter().all(FileReport::adds_up));
        (report.read, report.accepted, report.quarantined, report.filtered)
    }
}

fn shown(values: &[Value]) -> String {
    let one = |value: &Value| match value {
        Value::Missing => "-".to_owned(),
        Value::Code(code) => format!("#{code}"),
        Value::Int(units) => units.to_string(),
        Value::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
    };
    values.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn mapping(body: &str) -> Result<Mapping, MappingError> {
    Mapping::parse(&format!("version = 1\ndataset = \"shop\"\n{body}"), &shop())
}

fn import(body: &str, files: &[(&str, &[u8])]) -> Result<Outcome, ImportError> {
    let folder = Folder::with(files);
    let mut importer = Importer::new(mapping(body)?, &folder.0)?;
    let (mut records, mut quarantined) = (Vec::new(), Vec::new());
    while let Some(step) = importer.step(3)? {
        records.extend(step.batch.records);
        quarantined.extend(step.quarantined);
    }
    Ok(Outcome { records, quarantined, reports: importer.reports().to_vec() })
}

/// One profile file `a.csv` with the subject in `id`.
fn profile(fields: &str, csv: &[u8]) -> Outcome {
    let body = format!("[[files]]\npath = \"a.csv\"\nsubject = \"id\"\n[files.profile.fields]\n{fields}\n");
    import(&body, &[("a.csv", csv)]).unwrap()
}

/// One file `a.csv` of orders, with the subject in `id` and the time in `t`.
fn orders(more: &str, csv: &[u8]) -> Outcome {
    let body = format!(
        "[[files]]\npath = \"a.csv\"\nsubject = \"id\"\n[[files.events]]\ntype = \"order\"\ntime = \"t\"\n{more}\n"
    );
    import(&body, &[("a.csv", csv)]).unwrap()
}

#[test]
fn columns_become_fields_in_stored_form() {
    let fields = "age_band = \"age\"\nnewsletter = \"news\"\njoined = \"since\"\nemail = \"mail\"";
    let out = profile(fields, b"id,age,news,since,mail\n7,35+,yes,1970-01-11,a@b\n8,,,,\n");
    // Attributes are in the order of their names.
    assert_eq!(out.faults(), ["a.csv:2 since: outside the public bounds of joined"]);
    assert_eq!(out.profiles(), ["8: - - - -"]);
    let out = profile(fields, b"id,age,news,since,mail\n7,35+,yes,2000-01-11,a@b\n");
    assert_eq!(out.profiles(), ["7: #3 a@b 10967 #2"]);
    assert_eq!(out.counts(), (1, 1, 0, 0));
}

#[test]
fn bands_maps_defaults_and_otherwise_give_labels() {
    let bands = "age_band = { column = \"age\", map = { young = \"5\" }, bands = [ { to = 17, label = \"0-17\" }, \
                 { from = 18, below = 35, label = \"18-34\" }, { from = 35, to = 99, label = \"35+\" } ] }";
    let out = profile(bands, b"id,age\n1,17\n2,34.9\n3,35\n4,young\n5,100\n6,old\n7,\n");
    assert_eq!(out.profiles(), ["1: #1", "2: #2", "3: #3", "4: #1", "7: -"]);
    assert_eq!(out.faults(), ["a.csv:6 age: in none of the bands", "a.csv:7 age: not a number"]);

    let map = "age_band = { column = \"age\", map = { A = \"0-17\" }, otherwise = \"other\", default = \"18-34\" }";
    let out = profile(map, b"id,age\n1,A\n2,35+\n3,martian\n4,\n");
    assert_eq!(out.profiles(), ["1: #1", "2: #3", "3: #4", "4: #2"]);
}

#[test]
fn null_tokens_spaces_and_stripped_signs_are_understood() {
    let out = orders(
        "[files.events.fields]\namount = { column = \"a\", null = [\"N/A\"], strip = \"$ \", thousands = \",\" }",
        b"id,t,a\n1,2020-01-01,\"$1,234.5\"\n2,2020-01-01, N/A \n3,2020-01-01,1e+04\n4,2020-01-01,0.001\n5,2020-01-01,1e6\n",
    );
    let amounts: Vec<_> = out.events().iter().map(|e| e.split(": ").nth(1).unwrap().to_owned()).collect();
    assert_eq!(amounts, ["123450 - -", "- - -", "1000000 - -"]);
    assert_eq!(
        out.faults(),
        [
            "a.csv:5 a: more than 2 digits after the decimal mark",
            "a.csv:6 a: outside the public bounds of order.amount"
        ]
    );
}

#[test]
fn rounding_clamping_products_and_decimal_commas_work_on_request() {
    let out = orders(
        "[files.events.fields]\namount = { multiply = [\"q\", \"p\"], decimal_mark = \",\", round = true, clamp = true }",
        b"id;t;q;p\n".map(|b| if b == b';' { b',' } else { b }).as_slice(),
    );
    assert_eq!(out.counts(), (0, 0, 0, 0));
    let body = "[format]\ndelimiter = \";\"\ndecimal_mark = \",\"\n[[files]]\npath = \"a.csv\"\nsubject = \"id\"\n\
                [[files.events]]\ntype = \"order\"\ntime = \"t\"\n[files.events.fields]\n\
                amount = { multiply = [\"q\", \"p\"], round = true, clamp = true }\n";
    let csv = b"id;t;q;p\n1;2020-01-01;3;1,335\n2;2020-01-01;-500;9,9\n3;2020-01-01;2;\n";
    let out = import(body, &[("a.csv", csv)]).unwrap();
    let amounts: Vec<_> = out.events().iter().map(|e| e.split(": ").nth(1).unwrap().to_owned()).collect();
    assert_eq!(amounts, ["401 - -", "-10000 - -", "- - -"]);
}

#[test]
fn times_have_zones_and_parts() {
    let out = orders(
        "[files.events.fields]\nhour = { column = \"t\", part = \"hour\" }",
        b"id,t\n1,2020-07-01T00:30:00\n2,2020-07-01T00:30:00Z\n3,\n4,1.7.2020\n",
    );
    // Paris is two hours ahead of UTC in summer.
    assert_eq!(out.events(), ["1 @1593556200000000: - - 0", "2 @1593563400000000: - - 2"]);
    assert_eq!(out.faults(), ["a.csv:4 t: the time is empty", "a.csv:5 t: not a time in the format of the column"]);
}

#[test]
fn filters_leave_rows_out_and_say_so() {
    let rows = b"id,t,no,q\n1,2020-01-01,C9,1\n2,2020-01-01,A9,1\n3,2020-01-01,9,0\n4,2020-01-01,9,2\n5,2020-01-01,,3\n6,2020-01-01,9,x\n";
    let check = |filter: &str, expect: &[&str]| {
        let out = orders(&format!("where = {filter}"), rows);
        let ids: Vec<_> = out.records.iter().map(|r| r.subject.expose().to_owned()).collect();
        assert_eq!(ids, expect, "{filter}");
        assert_eq!(out.counts().0, 6);
    };
    check("{ column = \"no\", starts_with = \"C\" }", &["1"]);
    check("{ column = \"no\", not_starts_with = [\"C\", \"A\"] }", &["3", "4", "5", "6"]);
    check("{ column = \"no\", empty = true }", &["5"]);
    check("{ column = \"no\", equals = [\"C9\", 9] }", &["1", "3", "4", "6"]);
    check("{ column = \"no\", not_equals = 9 }", &["1", "2", "5"]);
    check("{ column = \"q\", greater_than = 0, less_than = 3 }", &["1", "2", "4"]);
    check("{ any = [{ column = \"q\", equals = \"x\" }, { not = { column = \"no\", empty = false } }] }", &["5", "6"]);
    check(
        "{ all = [{ column = \"no\", contains = \"9\" }, { column = \"no\", not_ends_with = \"C9\" }], column = \"q\", at_least = 1 }",
        &["2", "4"],
    );
    let out = orders("where = { column = \"q\", at_most = 1 }", rows);
    assert_eq!(out.counts(), (6, 3, 1, 2));
    assert_eq!(out.faults(), ["a.csv:7 q: not a number"]);
}

#[test]
fn lookups_join_a_second_file() {
    let body = |missing: &str, unmatched: &str| {
        format!(
            "[[files]]\npath = \"a.csv\"\nsubject = \"id\"\n[files.lookups.product]\npath = \"p.csv\"\nkey = \"sku\"\n\
             by = \"sku\"\nmissing = \"{missing}\"\n[[files.events]]\ntype = \"order\"\ntime = \"t\"\n\
             [files.events.fields]\ncategory = {{ lookup = \"product\", column = \"kind\"{unmatched} }}\n"
        )
    };
    let files: [(&str, &[u8]); 2] = [
        ("a.csv", b"id,t,sku\n1,2020-01-01,p1\n2,2020-01-01,p9\n3,2020-01-01,p3\n"),
        ("p.csv", b"sku,kind\np1,honey\np2,cheese\np1,cheese\np3,\n"),
    ];
    let categories = |out: &Outcome| {
        out.events()
            .iter()
            .map(|e| e.split(": ").nth(1).unwrap().split(' ').nth(1).unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(categories(&import(&body("null", ""), &files).unwrap()), ["#2", "-", "-"]);
    assert_eq!(categories(&import(&body("null", ", unmatched = \"(unknown)\""), &files).unwrap()), ["#2", "#3", "-"]);
    let out = import(&body("quarantine", ""), &files).unwrap();
    assert_eq!(out.faults(), ["a.csv:3 sku: not a key of the lookup product"]);
}

#[test]
fn the_event_type_may_come_from_a_column() {
    let body = "[[files]]\npath = \"a.csv\"\nsubject = \"id\"\n[[files.events]]\n\
                type = { column = \"what\", map = { buy = \"order\", look = \"view\" } }\ntime = \"t\"\n\
                [files.events.fields]\ncategory = \"c\"\namount = \"a\"\n";
    let csv = b"id,t,what,c,a\n1,2020-01-01,buy,honey,3\n2,2020-01-01,look,honey,3\n3,2020-01-01,sell,honey,3\n4,2020-01-01,,honey,3\n";
    let out = import(body, &[("a.csv", csv)]).unwrap();
    let events: Vec<_> = out.events().iter().map(|e| e.split(": ").nth(1).unwrap().to_owned()).collect();
    assert_eq!(events, ["300 #2 -", "#2"]);
    assert_eq!(
        out.faults(),
        ["a.csv:4 what: not in the public list of an event type", "a.csv:5 what: empty, and an event type is needed"]
    );
}

#[test]
fn the_row_number_may_be_the_subject() {
    let body = "[[files]]\npath = \"a.csv\"\nsubject = { row_number = true, prefix = \"row-\" }\n\
                [files.profile.fields]\nage_band = \"age\"\n";
    let out = import(body, &[("a.csv", b"age\n35+\n0-17\n")]).unwrap();
    assert_eq!(out.profiles(), ["row-1: #3", "row-2: #1"]);
}

#[test]
fn subjects_must_be_there_and_fit() {
    let out = profile("age_band = \"age\"", b"id,age\n,35+\n1234567890123,35+\n17850.0,35+\n");
    assert_eq!(out.faults(), ["a.csv:2 id: the subject key is empty", "a.csv:3 id: longer than 12 bytes"]);
    assert_eq!(out.profiles(), ["17850.0: #3"]);
    let body = "[[files]]\npath = \"a.csv\"\nsubject = { column = \"id\", as = \"integer\" }\n\
                [files.profile.fields]\nage_band = \"age\"\n";
    let out = import(body, &[("a.csv", b"id,age\n17850.0,35+\nx,35+\n")]).unwrap();
    assert_eq!(out.profiles(), ["17850: #3"]);
    assert_eq!(out.faults(), ["a.csv:3 id: not a number"]);
}

#[test]
fn conflicting_profiles_follow_the_policy() {
    let csv = b"id,age\n1,35+\n1,35+\n1,0-17\n2,0-17\n1,0-17\n";
    let run = |policy: &str| {
        let body = format!(
            "[[files]]\npath = \"a.csv\"\nsubject = \"id\"\n[files.profile]\non_conflict = \"{policy}\"\n\
             [files.profile.fields]\nage_band = \"age\"\n"
        );
        import(&body, &[("a.csv", csv)]).unwrap()
    };
    let first = run("first");
    assert_eq!((first.profiles(), first.counts()), (vec!["1: #3".into(), "2: #1".into()], (5, 5, 0, 0)));
    assert_eq!(first.reports[0].conflicts, 2);
    assert_eq!(run("last").profiles(), ["1: #3", "1: #1", "2: #1"]);
    let quarantine = run("quarantine");
    assert_eq!(quarantine.counts(), (5, 3, 2, 0));
    assert_eq!(quarantine.faults()[0], "a.csv:4 : an earlier row gives this subject another profile");
}

#[test]
fn consent_is_given_by_constant_by_column_or_by_file() {
    let body = "[[consents]]\npurposes = [\"marketing\"]\ntime = { constant = \"2020-01-01\" }\n\
                [[files]]\npath = \"a.csv\"\nsubject = \"id\"\n[files.profile.fields]\nage_band = \"age\"\n\
                [[files.consents]]\npurposes = [\"sharing.partner.crmco\"]\ntime = \"t\"\n\
                act = { column = \"share\", map = { y = \"give\", n = \"withdraw\" }, default = \"none\" }\n\
                [[files]]\npath = \"c.csv\"\nsubject = \"id\"\n[[files.consents]]\n\
                purpose = { column = \"for\", map = { ads = \"marketing.portrait\" } }\nseparator = \"+\"\n\
                time = \"t\"\nexpires = \"until\"\nbasis = { column = \"basis\", default = \"consent\" }\n";
    let files: [(&str, &[u8]); 2] = [
        ("a.csv", b"id,age,share,t\n1,35+,y,2020-01-01\n2,35+,n,2020-01-01\n1,35+,,2020-01-01\n3,35+,maybe,2020-01-01\n"),
        (
            "c.csv",
            b"id,for,t,until,basis\n4,ads,2020-01-01,1970-01-01T00:00:01Z,\n\
              5,marketing.segmentation + sharing.partner.crmco,2020-01-01,,contract\n6,,2020-01-01,,\n7,fun,2020-01-01,,\n",
        ),
    ];
    let out = import(body, &files).unwrap();
    assert_eq!(
        out.consents(),
        [
            "1 sharing.partner.crmco Give None",
            "1 marketing Give None",
            "2 sharing.partner.crmco Withdraw None",
            "2 marketing Give None",
            "4 marketing.portrait Give Some(Timestamp(1000000))",
            "4 marketing Give None",
            "5 marketing.segmentation Give None",
            "5 sharing.partner.crmco Give None",
            "5 marketing Give None",
            "6 marketing Give None",
        ]
    );
    assert_eq!(
        out.faults(),
        [
            "a.csv:5 share: not in the public list of give or withdraw",
            "c.csv:5 for: not in the public list of the purposes"
        ]
    );
}

#[test]
fn a_mapping_without_consent_warns_of_noise() {
    let file = "[[files]]\npath = \"a.csv\"\nsubject = \"id\"\n[files.profile.fields]\nage_band = \"age\"\n";
    assert!(mapping(file).unwrap().warnings()[0].contains("noise"));
    let some = format!("[[consents]]\npurposes = [\"marketing\"]\ntime = {{ constant = \"2020-01-01\" }}\n{file}");
    assert!(mapping(&some).unwrap().warnings()[0].contains("sharing.partner.crmco"));
    let all = format!(
        "[[consents]]\npurposes = [\"marketing\", \"sharing\"]\ntime = {{ constant = \"2020-01-01\" }}\n{file}"
    );
    assert!(mapping(&all).unwrap().warnings().is_empty());
}

#[test]
fn true_duplicates_count_and_importing_again_gives_the_same_ids() {
    let csv = b"id,t,a\n1,2020-01-01,5\n1,2020-01-01,5\n1,2020-01-01,6\n";
    let out = orders("", csv);
    assert_eq!(out.ids(), orders("", csv).ids());
    assert_eq!(out.ids().iter().collect::<std::collections::HashSet<_>>().len(), 3);
    assert_eq!(out.reports[0].repeated_rows, 1);
    assert_eq!(out.reports[0].by_type, [("order".to_owned(), 3)]);
    assert_eq!(out.reports[0].remark().unwrap(), "a.csv: 3 order, 1 rows repeat an earlier row");
    // With a key, another spelling of the rest of the row is the same event.
    let keyed = |csv: &[u8]| orders("id = [\"id\", \"t\"]", csv).ids();
    assert_eq!(keyed(b"id,t,a\n1,2020-01-01,5\n"), keyed(b"id,t,a\n1,2020-01-01,5.0\n"));
}

#[test]
fn several_files_of_one_pattern_are_one_source() {
    let body = "[[files]]\npath = \"o-*.csv\"\nsubject = \"id\"\n[[files.events]]\ntype = \"order\"\ntime = \"t\"\n";
    let out = import(
        body,
        &[("o-2.csv", b"id,t\n2,2020-01-01\n1,2020-01-01\n"), ("o-1.csv", b"id,t\n1,2020-01-01\n"), ("x.csv", b"")],
    )
    .unwrap();
    assert_eq!(
        out.reports.iter().map(|r| (r.file.as_str(), r.read)).collect::<Vec<_>>(),
        [("o-1.csv", 1), ("o-2.csv", 2)]
    );
    // A row that a second export repeats is the same event.
    assert_eq!(out.ids()[0], out.ids()[2]);
}

#[test]
fn encodings_and_byte_order_marks_are_read() {
    let body = |format: &str| {
        format!("[[files]]\npath = \"a.csv\"\n{format}subject = \"clé\"\n[files.profile.fields]\nemail = \"nom\"\n")
    };
    let text = "clé,nom\nü1,Zoë\n";
    let utf16 = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let check = |format: &str, bytes: &[u8]| {
        let out = import(&body(format), &[("a.csv", bytes)]).unwrap();
        assert_eq!(out.profiles(), ["ü1: Zoë"], "{format}");
    };
    check("", text.as_bytes());
    check("", &[b"\xef\xbb\xbf", text.as_bytes()].concat());
    check("format = { encoding = \"latin1\" }\n", &latin);
    check("format = { encoding = \"utf-16\" }\n", &utf16(u16::to_le_bytes));
    check("format = { encoding = \"utf-16be\" }\n", &utf16(u16::to_be_bytes));
    check("", &[vec![0xff, 0xfe], utf16(u16::to_le_bytes)].concat());
    check("format = { encoding = \"latin1\" }\n", &[vec![0xfe, 0xff], utf16(u16::to_be_bytes)].concat());
}

#[test]
fn bytes_that_are_no_text_are_quarantined() {
    let out = profile("email = \"mail\"", b"id,mail\n1,a\xffb\n2,\xc3\xa9\n");
    assert_eq!(out.faults(), ["a.csv:2 mail: not text in the encoding of the file"]);
    assert_eq!(out.profiles(), ["2: é"]);
    let body = "[[files]]\npath = \"a.csv\"\nformat = { encoding = \"shift_jis\" }\nsubject = \"id\"\n\
                [files.profile.fields]\nemail = \"mail\"\n";
    let out = import(body, &[("a.csv", b"id,mail\n1,a\xffb\n2,x\n")]).unwrap();
    assert_eq!(out.faults(), ["a.csv:2 mail: not text in the encoding of the file"]);
}

#[test]
fn quoted_newlines_ragged_rows_and_odd_line_ends_keep_their_lines() {
    let out = profile("email = \"mail\"", b"id,mail\r\n1,\"a\nb\"\r\n2\r\n\r\n3,c,d\r\n4,\"say \"\"hi\"\"\"");
    assert_eq!(out.profiles(), ["1: a\nb", "4: say \"hi\""]);
    assert_eq!(
        out.faults(),
        ["a.csv:4 : the row has 1 cells, the header has 2", "a.csv:6 : the row has 3 cells, the header has 2"]
    );
    assert_eq!(out.counts(), (4, 2, 2, 0));
}

#[test]
fn tabs_comments_skipped_lines_and_files_without_a_header_are_read() {
    let body = "[[files]]\npath = \"a.csv\"\nsubject = \"id\"\n[files.format]\ndelimiter = \"tab\"\ncomment = \"#\"\n\
                skip_lines = 2\nquote = \"\"\ncolumns = [\"id\", \"mail\"]\n[files.profile.fields]\nemail = \"mail\"\n";
    let out = import(body, &[("a.csv", b"exported\ntoday\n1\t\"a\n# no\n2\tb\n3\n")]).unwrap();
    assert_eq!(out.profiles(), ["1: \"a", "2: b"]);
    assert_eq!(out.faults(), ["a.csv:6 : the row has 1 cells, the header has 2"]);
}

#[test]
fn empty_files_and_wrong_names_are_said_plainly() {
    let body = "[[files]]\npath = \"a.csv\"\nsubject = \"id\"\n[files.profile.fields]\nage_band = \"age\"\n";
    let error = |csv: &[u8]| import(body, &[("a.csv", csv)]).unwrap_err().to_string();
    assert!(error(b"").contains("the file is empty"));
    assert_eq!(error(b"id,years\n"), "a.csv: no column `age`; the file has: `id`, `years`");
    assert_eq!(error(b"id,age,age\n"), "a.csv: the column age is there twice");
    assert_eq!(import(body, &[]).unwrap_err().to_string(), "a.csv: there is no such file in the source folder");
    assert_eq!(import(body, &[("a.csv", b"id,age\n")]).unwrap().counts(), (0, 0, 0, 0));
}

#[test]
fn an_open_quote_does_not_swallow_the_machine() {
    let mut csv = b"id,age\n1,\"35+\n".to_vec();
    csv.resize(6 << 20, b'x');
    let body = "[[files]]\npath = \"a.csv\"\nsubject = \"id\"\n[files.profile.fields]\nage_band = \"age\"\n";
    assert!(matches!(import(body, &[("a.csv", &csv)]), Err(ImportError::RowTooLong { row: 1, .. })));
}

#[test]
fn no_value_of_a_row_is_in_a_report_an_error_or_a_debug_text() {
    let secret = "Zq7-planted-Xw9";
    let body = "[[consents]]\npurposes = [\"marketing\"]\ntime = { constant = \"2020-01-01\" }\n\
                [[files]]\npath = \"a.csv\"\nsubject = \"id\"\n[files.profile.fields]\n\
                age_band = \"age\"\nnewsletter = \"news\"\njoined = \"since\"\nemail = \"mail\"\n\
                [[files.events]]\ntype = { column = \"what\", default = \"order\" }\ntime = \"t\"\n\
                [files.events.fields]\namount = \"a\"\n";
    let good = ["1", "35+", "yes", "2020-01-01", "a@b", "order", "2020-01-01", "1"];
    let mut csv = "id,age,news,since,mail,what,t,a\n".to_owned();
    let long = format!("{secret}{secret}");
    for at in 0..good.len() {
        let cell = |(here, cell)| if here == at { long.as_str() } else { cell };
        let row: Vec<&str> = good.iter().copied().enumerate().map(cell).collect();
        csv += &format!("{}\n", row.join(","));
    }
    csv += &format!("{secret}\n1,35+,yes,2020-01-01,a@b,order,2020-01-01,1\n");
    let out = import(body, &[("a.csv", csv.as_bytes())]).unwrap();
    assert_eq!(out.counts(), (10, 1, 9, 0));

    let folder = Folder::with(&[]);
    let path = folder.0.join("quarantine.csv");
    let mut report = QuarantineReport::create(&path).unwrap();
    report.add(&out.quarantined).unwrap();
    report.finish().unwrap();
    let report = std::fs::read_to_string(&path).unwrap();
    assert!(report.starts_with("file,line,column,reason\na.csv,2,id,longer than 12 bytes\n"), "{report}");
    assert!(!report.contains("planted"));
    assert!(!format!("{out:?}").contains("planted"));
    assert!(!format!("{out:?}").contains("a@b"));

    // The first row of a file without a header is data, and no error shows it.
    let error = import(body, &[("a.csv", format!("{secret},x\n").as_bytes())]).unwrap_err();
    assert!(!error.to_string().contains("planted") && error.to_string().contains("header"));
}

#[test]
fn wrong_mappings_say_where_and_what_would_be_right() {
    let file = |rest: &str| format!("[[files]]\npath = \"a.csv\"\nsubject = \"id\"\n{rest}");
    for (body, expect) in [
        ("files = []".to_owned(), "at least one [[files]]"),
        (file(""), "it feeds nothing"),
        (file("[files.profile.fields]\nage = \"x\"\n"), "no field `age` in the schema; it has: customer, age_band"),
        (file("[files.profile.fields]\ncustomer = \"x\"\n"), "the subject key is given by `subject`"),
        (
            file("[files.profile.fields]\nage_band = { constant = \"old\" }\n"),
            "`old` is not in the public list of age_band",
        ),
        (file("[files.profile.fields]\nage_band = { column = \"a\", map = { x = \"old\" } }\n"), "`old` is not in"),
        (file("[files.profile.fields]\nage_band = { map = { x = \"35+\" } }\n"), "exactly one of"),
        (file("[files.profile.fields]\nage_band = { lookup = \"p\", column = \"x\" }\n"), "no such lookup"),
        (file("[files.profile.fields]\nage_band = { colum = \"x\" }\n"), "unknown field `colum`"),
        (file("[files.profile.fields]\nage_band = 3\n"), "the name of a column"),
        (
            file("[[files.events]]\ntype = \"orders\"\ntime = \"t\"\n"),
            "`orders` is not an event type; one of: order, view",
        ),
        (
            file("[[files.events]]\ntype = \"view\"\ntime = \"t\"\n[files.events.fields]\namount = \"a\"\n"),
            "no field `amount`",
        ),
        (
            file("[[files.events]]\ntype = \"view\"\ntime = { column = \"t\", format = \"excel\" }\n"),
            "a format is `iso`",
        ),
        (file("[[files.events]]\ntype = \"view\"\ntime = \"t\"\nwhere = { column = \"x\" }\n"), "a test is missing"),
        (file("[[files.consents]]\npurposes = [\"fun\"]\ntime = \"t\"\n"), "`fun` is no purpose of the schema"),
        (file("[files.profile.fields]\n[files.format]\nencoding = \"klingon\"\n"), "an encoding is a name"),
        (file("[files.profile.fields]\n[files.format]\ndelimiter = \"::\"\n"), "one ASCII character"),
    ] {
        let error = mapping(&body).map(drop).unwrap_err().to_string();
        assert!(error.contains(expect), "{body}\n{error}");
    }
    let outside = import(&file("[files.profile.fields]\n").replace("a.csv", "../a.csv"), &[]).unwrap_err();
    assert!(outside.to_string().contains("inside the source folder"));
}

#[test]
fn the_manual_of_the_mapping_language_is_true() {
    let manual = include_str!("../../../../deploy/datasets/README.md");
    let mut blocks = manual.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let schema = schema::parse(blocks.next().unwrap()).unwrap();
    let mapping = Mapping::parse(blocks.next().unwrap(), &schema).unwrap();
    let folder = Folder::with(&[
        (
            "customers.csv",
            b"No;State;Newsletter;Post code;Age;Sharing;Asked on;Asked at;Until\n\
              17850.0;live;yes;1;34;yes;01/02/2026;10:30;2030-01-01\n2;test;;;;;;;\n3;;no;9;?;no;;;\n",
        ),
        ("activity-1.csv", b"exported today\n# no header\nbuy;no. c17850;2026-02-03T09:15:00;a1;3;1.000,005\nlook;c3;2026-02-03T19:15:00;a9;;\nbuy;c3;2026-02-03T19:15:00;a1;0;1\n"),
        ("articles.csv", b"Number;Category\na1;honey\n"),
        ("consents.csv", b"Customer;Purpose;Act;Notice;Since\nc3;ads,sharing.partner.crmco;withdraw;4;2026-03-01\n"),
    ]);
    let mut importer = Importer::new(mapping, &folder.0).unwrap();
    let (mut records, mut quarantined) = (Vec::new(), Vec::new());
    while let Some(step) = importer.step(10).unwrap() {
        records.extend(step.batch.records);
        quarantined.extend(step.quarantined);
    }
    let out = Outcome { records, quarantined, reports: importer.reports().to_vec() };
    assert_eq!(out.faults(), ["customers.csv:4 Asked on+Asked at: the time is empty"]);
    assert_eq!(out.profiles(), ["c17850: #2 #2 #1"]);
    assert_eq!(out.events(), ["c17850 @1770106500000000: #2 300002 #1", "c3 @1770142500000000: #3"]);
    assert_eq!(
        out.reports.iter().map(|r| (r.read, r.accepted, r.filtered)).collect::<Vec<_>>(),
        [(3, 1, 1), (3, 2, 1), (1, 1, 0)]
    );
    assert_eq!(out.consents().len(), 5);
    assert_eq!(out.asked(), ["- - -", "Paper en 3", "Paper en 3", "- - 4", "- - 4"].map(str::to_owned));
}

#[test]
fn what_is_no_label_of_how_consent_was_collected_is_said() {
    let body = |keys: &str| {
        format!(
            "[[files]]\npath = \"a.csv\"\nsubject = \"id\"\n[[files.consents]]\npurposes = [\"marketing\"]\n\
             time = {{ constant = \"2020-01-01\" }}\n{keys}"
        )
    };
    for (keys, expect) in [
        ("method = \"cookie\"", "a method is one of web_form"),
        ("notice = \"version 3\"", "a notice's version is 1-31"),
        ("language = \"english\"", "a language is a tag"),
        ("method = { column = \"how\", map = { x = \"cookie\" } }", "a method is one of web_form"),
    ] {
        let error = mapping(&body(keys)).map(drop).unwrap_err().to_string();
        assert!(error.contains(expect), "{keys}\n{error}");
    }
    let keys = "method = { column = \"how\" }\nlanguage = { column = \"in\" }\n";
    let out = import(&body(keys), &[("a.csv", b"id,how,in\n1,app,en\n2,,\n3,cookie,en\n4,app,e_n\n")]).unwrap();
    assert_eq!(out.asked(), ["App en -", "- - -"].map(str::to_owned));
    assert_eq!(out.faults(), ["a.csv:4 how: not a way of collecting", "a.csv:5 in: not a language"]);
}
