//! The co-operative as CSV files, with the schema and the mapping to import them.

use super::activity::{Act, Calendar, Kind, acts};
use super::catalogue::{CATEGORIES, PRODUCTS};
use super::people::{AGE_BANDS, CHANNELS, Consumer, DIETS, HOUSEHOLDS, PURPOSES, REGIONS, SETTLEMENTS, TIERS};
use super::{MAPPING, SCHEMA, Settings, shares};
use policy::time::Timestamp;
use std::fs::File;
use std::io;
use std::path::Path;

type Table = csv::Writer<File>;

/// Writes `schema.toml`, `mapping.toml`, `consumers.csv`, `products.csv`, `activity.csv` and `consents.csv` into a folder,
/// which is created if need be. Files of these names are replaced.
pub fn write_files(settings: &Settings, folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("schema.toml"), SCHEMA)?;
    std::fs::write(folder.join("mapping.toml"), MAPPING)?;
    write_products(&folder.join("products.csv"))?;
    let mut consumers = table(
        folder,
        "consumers.csv",
        "member_no,email,age_band,region,settlement,household,household_size,loyalty_tier,channel,diet,newsletter,\
         member_since",
    )?;
    let mut activity =
        table(folder, "activity.csv", "what,member_no,time,product_id,channel,quantity,amount,order_no")?;
    let mut consents = table(folder, "consents.csv", "member_no,purpose,act,time,expires,form")?;
    let as_of = settings.as_of.seconds();
    let calendar = Calendar::new(as_of);
    for (consumer, count) in shares(settings) {
        write_consumer(&mut consumers, &consumer)?;
        for agreement in consumer.agreements(settings.seed, as_of) {
            consents.write_record([
                consumer.member_no.as_str(),
                label(&PURPOSES, agreement.purpose),
                if agreement.give { "give" } else { "withdraw" },
                &instant(agreement.at),
                &agreement.expires.map(instant).unwrap_or_default(),
                "membership-form",
            ])?;
        }
        for act in acts(settings.seed, &consumer, count, &calendar) {
            write_act(&mut activity, &consumer, &act)?;
        }
    }
    for mut table in [consumers, activity, consents] {
        table.flush()?;
    }
    Ok(())
}

fn table(folder: &Path, name: &str, header: &str) -> io::Result<Table> {
    let mut table = csv::Writer::from_writer(File::create(folder.join(name))?);
    table.write_record(header.split(','))?;
    Ok(table)
}

fn write_products(path: &Path) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(File::create(path)?);
    table.write_record(["product_id", "name", "category", "price"])?;
    for (at, product) in PRODUCTS.iter().enumerate() {
        let id = product_id(at);
        table.write_record([id.as_str(), product.name, label(&CATEGORIES, product.category), &money(product.price)])?;
    }
    table.flush()
}

fn write_consumer(table: &mut Table, consumer: &Consumer) -> io::Result<()> {
    table.write_record([
        consumer.member_no.as_str(),
        &consumer.email,
        label(&AGE_BANDS, consumer.age),
        label(&REGIONS, consumer.region),
        label(&SETTLEMENTS, consumer.settlement),
        label(&HOUSEHOLDS, consumer.household),
        &consumer.household_size.to_string(),
        label(&TIERS, consumer.tier),
        label(&CHANNELS, consumer.channel),
        label(&DIETS, consumer.diet),
        if consumer.newsletter { "yes" } else { "no" },
        instant(consumer.member_since * 86_400).get(..10).unwrap_or_default(),
    ])?;
    Ok(())
}

fn write_act(table: &mut Table, consumer: &Consumer, act: &Act) -> io::Result<()> {
    let (what, order_no) = match act.kind {
        Kind::View => ("view", String::new()),
        Kind::Cart => ("cart", String::new()),
        Kind::Order => ("order", act.order_no.to_string()),
    };
    table.write_record([
        what,
        &consumer.member_no,
        &instant(act.at),
        &product_id(act.product),
        label(&CHANNELS, act.channel),
        &act.quantity.to_string(),
        &money(act.amount),
        &order_no,
    ])?;
    Ok(())
}

fn label<'a>(list: &[&'a str], at: usize) -> &'a str {
    list.get(at).copied().unwrap_or_default()
}

fn product_id(at: usize) -> String {
    format!("p{:03}", at + 1)
}

fn money(hundredths: i64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn instant(seconds: i64) -> String {
    let Timestamp(micros) = Timestamp::from_seconds(seconds);
    jiff::Timestamp::from_microsecond(micros).map(|at| at.to_string()).unwrap_or_default()
}
