//! A killed gateway loses nothing that it acknowledged. `tests/hammer` does the same for longer.

use harness::crash::{Hammer, Programs};

const ROUNDS: u64 = 50;
const SEED: u64 = 20_260_729;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_loses_nothing_and_charges_once() {
    let programs = Programs {
        gateway: env!("CARGO_BIN_EXE_silhouette-under-test").into(),
        verifier: env!("CARGO_BIN_EXE_verify-under-test").into(),
    };
    let mut hammer = Hammer::new(programs, ROUNDS, SEED).await;
    for _ in 0..ROUNDS {
        hammer.round().await;
    }
    assert!(hammer.summary.batches > 0 && hammer.summary.questions > 0, "{:?}", hammer.summary);
}
