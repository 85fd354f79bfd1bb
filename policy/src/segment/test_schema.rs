//! A schema with every type of field, for the tests of this crate.

use crate::schema::{Schema, parse};

/// Parses [`EXAMPLE`] with [`RFM`].
pub(crate) fn schema() -> Schema {
    parse(&format!("{EXAMPLE}{RFM}")).unwrap()
}

/// Bands of the orders, for the end of the example.
pub(crate) const RFM: &str = r#"
[rfm]
event = "order"
amount = "amount"
window = "52w"
recency = [30, 90, 180, 300]
frequency = [2, 4, 8, 16]
monetary = ["0.00", "50.00", "400.00"]
"#;

/// Attributes and event fields of every type.
pub(crate) const EXAMPLE: &str = r#"
version = 1
dataset = "coop"
organization = "hill-farms"
time_zone = "Europe/London"
subject_key = "member_no"
purposes = ["marketing.segmentation", "marketing.portrait", "sharing.partner.crmco"]

[[attributes]]
name = "member_no"
class = "identifier"
type = "identifier"
max_bytes = 32

[[attributes]]
name = "age_band"
class = "quasi_identifier"
type = "enum"
domain = ["18-24", "25-34", "35-44", "45+"]

[[attributes]]
name = "region"
class = "quasi_identifier"
type = "enum"
domain = ["north", "south", "unknown"]

[[attributes]]
name = "household"
class = "quasi_identifier"
type = "integer"
min = 1
max = 12

[[attributes]]
name = "score"
class = "behavioral"
type = "decimal"
scale = 2
min = "-10.00"
max = "10.00"

[[attributes]]
name = "joined"
class = "behavioral"
type = "date"
min = "2000-01-01"
max = "2039-12-31"

[[attributes]]
name = "newsletter"
class = "behavioral"
type = "bool"

[[events]]
name = "order"

  [[events.fields]]
  name = "category"
  class = "behavioral"
  type = "enum"
  domain = ["ceramics", "cheese", "honey"]

  [[events.fields]]
  name = "amount"
  class = "behavioral"
  type = "decimal"
  scale = 2
  min = "-500.00"
  max = "500.00"

  [[events.fields]]
  name = "items"
  class = "behavioral"
  type = "integer"
  min = 0
  max = 99

  [[events.fields]]
  name = "basket"
  class = "behavioral"
  type = "identifier"
  max_bytes = 16

  [[events.fields]]
  name = "gift"
  class = "behavioral"
  type = "bool"

  [[events.fields]]
  name = "due"
  class = "behavioral"
  type = "date"
  min = "2020-01-01"
  max = "2030-12-31"

[[events]]
name = "view"
"#;
