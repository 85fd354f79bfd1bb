//! Producers as they are: rows that do not fit, batches sent twice, clocks that are off, many at once beside questions.

use harness::gate::{Caller, Gate, START};
use harness::shop;
use proto::v1;
use proto::v1::segment_service_client::SegmentServiceClient;
use std::time::Duration;

const MINUTE: i64 = 60_000_000;

async fn people_of(caller: &Caller, segment: &str) -> u64 {
    let answer = SegmentServiceClient::new(caller.line()).estimate_size(shop::size_of(segment)).await.unwrap();
    answer.into_inner().release.unwrap().tables[0].cells[0].people
}

/// Positions, fields and problems of the rows that were not written.
fn rejected(answer: &v1::StreamRecordsResponse) -> Vec<(u32, &str, &str)> {
    answer.rejected.iter().map(|row| (row.row, row.field.as_str(), row.problem.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_does_not_fit_is_told_by_its_position_and_costs_itself_only() {
    let gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &["marketing"]).await;
    // Rows 0-5 are profiles, 6-11 events, 12-17 consents.
    let mut batch = shop::people("a", 6, &["marketing"]);
    batch.profiles[2].values[0] = shop::code(4);
    batch.profiles[3].values.pop();
    batch.events[1].values[1] = shop::number(100_001);
    batch.events[2].layout = 9;
    batch.events[3].at_micros = START.0 + 6 * MINUTE;
    batch.events[4].at_micros = START.0 + 4 * MINUTE;
    batch.consents[5].purpose = "elsewhere".into();
    let after = shop::people("b", 3, &["marketing"]);
    let messages = vec![shop::header(&dataset), shop::message(batch), shop::message(after)];
    let answers = shop::stream(&producer, messages).await.unwrap();
    assert_eq!((answers[0].profiles, answers[0].events, answers[0].consents), (4, 3, 5));
    assert_eq!(
        rejected(&answers[0]),
        [
            (2, "age_band", "must be a code from 1 to 3"),
            (3, "values", "has 1 of 2 values"),
            (7, "order.amount", "must be from 0 to 100000"),
            (8, "layout", "is none of the header's"),
            (
                9,
                "row",
                "the event is dated more than five minutes ahead of the gateway's clock; set the clock that dates it"
            ),
            (17, "row", "the purpose is not one of this dataset's purposes, nor a parent of one"),
        ]
    );
    assert_eq!((answers[1].profiles, answers[1].rejected.len()), (3, 0), "the next batch is none the worse");
    shop::close_epoch(&gate).await;
    assert_eq!(people_of(&insights, "true").await, 8);
    assert_eq!(people_of(&insights, "order.any()").await, 4, "who is four minutes ahead waits for the next epoch");
    gate.clock.advance(Duration::from_secs(600));
    shop::close_epoch(&gate).await;
    let (insights, _) = gate.client("again", v1::ClientRole::Service, "", &["marketing"]).await;
    assert_eq!(people_of(&insights, "order.any()").await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_sent_again_changes_nothing_over_restarts_and_epochs() {
    let mut gate = Gate::start().await;
    let dataset = shop::create(&gate).await;
    let (_, key) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    for round in 0..3 {
        let producer = gate.sign_in("till", &key).await;
        let batch = || shop::message(shop::people("a", 24, &["marketing"]));
        shop::stream(&producer, vec![shop::header(&dataset), batch(), batch()]).await.unwrap();
        if round > 0 {
            shop::close_epoch(&gate).await;
        }
        gate = gate.restart().await;
    }
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &["marketing"]).await;
    assert_eq!(people_of(&insights, "true").await, 24);
    assert_eq!(people_of(&insights, "order.count() == 1").await, 24);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_producers_beside_questions_lose_and_double_nothing() {
    const PRODUCERS: u32 = 100;
    const PEOPLE: u32 = 20;
    // Room for a handful of batches: the others wait their turn.
    let gate = Gate::start_with(|config| config.ingest_bytes = 8 * 1024).await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &["marketing"]).await;
    let (later, _) = gate.client("later", v1::ClientRole::Service, "", &["marketing"]).await;
    shop::close_epoch(&gate).await;
    let sending: Vec<_> = (0..PRODUCERS)
        .map(|number| {
            let (producer, header) = (producer.clone(), shop::header(&dataset));
            tokio::spawn(async move {
                // The second batch is the first one again, and the third has the orders of a neighbour's people too.
                let own = || shop::people(&format!("p{number}"), PEOPLE, &["marketing"]);
                let neighbor = shop::people(&format!("p{}", (number + 1) % PRODUCERS), PEOPLE, &[]);
                let orders = v1::RecordBatch { profiles: Vec::new(), ..neighbor };
                let messages = [own(), own(), orders].map(shop::message);
                let messages = std::iter::once(header).chain(messages).collect();
                let answers = shop::stream(&producer, messages).await.unwrap();
                answers.iter().map(|answer| answer.profiles + answer.events + answer.consents).sum::<u64>()
            })
        })
        .collect();
    // Questions and closes of epochs go on meanwhile.
    for least in 2..5 {
        let asked = people_of(&insights, &format!("order.count() >= {least}")).await;
        assert_eq!(asked, 0, "everyone has one order, however often it was sent");
        shop::close_epoch(&gate).await;
    }
    let mut taken = 0;
    for sender in sending {
        taken += sender.await.unwrap();
    }
    assert_eq!(taken, u64::from(PRODUCERS * PEOPLE) * 7);
    shop::close_epoch(&gate).await;
    assert_eq!(people_of(&later, "true").await, u64::from(PRODUCERS * PEOPLE));
    assert_eq!(people_of(&later, "order.count() == 1").await, u64::from(PRODUCERS * PEOPLE));
    assert_eq!(people_of(&later, r#"age_band == "18-34""#).await, u64::from(PRODUCERS * PEOPLE.div_ceil(3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_larger_than_all_room_is_taken_alone() {
    let gate = Gate::start_with(|config| config.ingest_bytes = 64).await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let batch = |name: &str| shop::message(shop::people(name, 50, &["marketing"]));
    let messages = vec![shop::header(&dataset), batch("a"), batch("b"), batch("c")];
    let answers = shop::stream(&producer, messages).await.unwrap();
    assert_eq!(answers.iter().map(|answer| answer.profiles).collect::<Vec<_>>(), [50, 50, 50]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_is_faster_than_folding_waits_and_is_not_refused() {
    const BATCHES: u32 = 16;
    // About one batch: the sixteen are four times what may wait before rows are refused.
    let gate = Gate::start_with(|config| (config.fold_bytes, config.ingest_bytes) = (16 * 1024, 16 * 1024)).await;
    let dataset = shop::create(&gate).await;
    let (producer, _) = gate.client("till", v1::ClientRole::Producer, "", &[]).await;
    let (insights, _) = gate.client("insights", v1::ClientRole::Service, "", &["marketing"]).await;
    let batches = (0..BATCHES).map(|number| shop::message(shop::people(&format!("n{number}"), 100, &["marketing"])));
    let messages = std::iter::once(shop::header(&dataset)).chain(batches).collect();
    let answers = shop::stream(&producer, messages).await.unwrap();
    assert_eq!(answers.iter().map(|answer| answer.profiles).sum::<u64>(), u64::from(BATCHES * 100));
    shop::close_epoch(&gate).await;
    assert_eq!(people_of(&insights, "order.count() == 1").await, u64::from(BATCHES * 100));
}
