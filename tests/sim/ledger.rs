//! The protocol by which an answer is paid for, model-checked: every order of asking, writing, drawing and crashing of a few
//! clients over a few questions, and random orders of 64 clients over more, with the vault's own ledger arithmetic.
//!
//! What is modeled is `vault::vault::release`: a charge is committed in memory and in the log's buffer, and the noise is drawn
//! only when a sync has returned; the answer is committed likewise, and leaves only when its sync has returned; whoever asks
//! for what is being drawn waits; a stored answer is repeated only after a record of its own is synced, and with it all before
//! it. Questions are asked at two prices: a stored answer of the higher one serves the lower, and one of the lower is added to
//! for the difference. A crash keeps any beginning of what was not synced. That the code does as the model is what the crash
//! matrix, the hammer and the threads of `vault::tests` show.
//!
//! Always: no more is charged than the cap; no question is charged twice; no answer is seen whose charge would not survive a
//! crash; nobody sees two draws of one question; no draw has less noise than was charged for it. Four faulty protocols must be
//! found out, so that the model can fail.

use policy::id::ClientId;
use policy::privacy::{Caps, Ledger, NanoRho, Quarter};
use stateright::{Checker, Model, Property, UniformChooser};

/// What an even number asks costs; the next odd number asks the same more accurately.
const PRICE: NanoRho = NanoRho(3);
const DEARER: NanoRho = NanoRho(5);
const QUARTER: Quarter = Quarter(8_104);

/// A protocol, right or wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// As it is.
    Right,
    /// Noise is drawn, and shown, before the charge is synced.
    DrawsBeforeSync,
    /// An answer that was owed is charged again.
    ForgetsWhatIsOwed,
    /// An answer leaves before it is synced.
    ShowsBeforeSync,
    /// The difference is charged, and the noise is of the whole price.
    DrawsForTheWholePrice,
}

#[derive(Debug, Clone)]
struct World {
    protocol: Protocol,
    /// Which question each client asks.
    asks: Vec<u8>,
    /// No more than half of it for any client.
    cap: NanoRho,
    crashes: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Record {
    Charge {
        client: u8,
        question: u8,
        rho: NanoRho,
    },
    Answer {
        question: u8,
        draw: u16,
    },
    /// What answers the question from now on, if it was drawn for another one.
    Repeat {
        question: u8,
        draw: u16,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Idle,
    /// Waits until the log is synced up to there, then draws.
    Charging(usize),
    Drawing,
    /// Waits until the log is synced up to there, then sees the draw.
    Storing(usize, u16),
    Done,
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    log: Vec<Record>,
    synced: usize,
    phases: Vec<Phase>,
    /// By draw: what it was drawn for, and the price that its noise is of.
    draws: Vec<(u8, NanoRho)>,
    /// Question and draw.
    seen: Vec<(u8, u16)>,
    crashes: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Ask(usize),
    Sync(usize),
    Draw(usize),
    Return(usize),
    /// The log keeps so many records.
    Crash(usize),
}

impl State {
    fn charged(&self, question: u8) -> usize {
        self.log.iter().filter(|record| matches!(record, Record::Charge { question: q, .. } if *q == question)).count()
    }

    fn stored(&self, question: u8) -> Option<u16> {
        self.log.iter().find_map(|record| match record {
            Record::Answer { question: q, draw } | Record::Repeat { question: q, draw } if *q == question => {
                Some(*draw)
            }
            _ => None,
        })
    }

    /// What is charged for a question: less what an answer cost that it adds to.
    fn price(&self, question: u8) -> NanoRho {
        match question % 2 {
            0 => PRICE,
            _ if self.stored(question - 1).is_some() => DEARER.saturating_sub(PRICE),
            _ => DEARER,
        }
    }

    fn charge(&self, question: u8) -> Option<NanoRho> {
        self.log.iter().find_map(|record| match record {
            Record::Charge { question: q, rho, .. } if *q == question => Some(*rho),
            _ => None,
        })
    }

    fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        for record in &self.log {
            if let Record::Charge { client, rho, .. } = record {
                ledger.record(&name(*client), *rho, QUARTER);
            }
        }
        ledger
    }

    fn push(&mut self, record: Record) -> usize {
        self.log.push(record);
        self.log.len()
    }
}

fn name(client: u8) -> ClientId {
    ClientId::new(&format!("client-{client}")).unwrap()
}

impl World {
    fn ask(&self, state: &mut State, client: usize) {
        let question = self.asks[client];
        let id = client as u8;
        let owed = state.charged(question) > 0 && state.stored(question).is_none();
        let dearer = (!owed && question.is_multiple_of(2)).then(|| state.stored(question + 1)).flatten();
        if let Some(draw) = state.stored(question).or(dearer) {
            let end = state.push(Record::Repeat { question, draw });
            state.phases[client] = Phase::Storing(end, draw);
            return;
        }
        if owed && self.protocol != Protocol::ForgetsWhatIsOwed {
            state.phases[client] = Phase::Drawing;
            return;
        }
        let mut ledger = state.ledger();
        let caps = Caps { quarter: self.cap, lifetime: self.cap, month: None };
        let rho = state.price(question);
        if ledger.try_charge(&name(id), rho, QUARTER, caps).is_err() {
            state.phases[client] = Phase::Refused;
            return;
        }
        let end = state.push(Record::Charge { client: id, question, rho });
        let waits = self.protocol != Protocol::DrawsBeforeSync;
        state.phases[client] = if waits { Phase::Charging(end) } else { Phase::Drawing };
    }

    fn see(&self, state: &mut State, client: usize, draw: u16) {
        state.seen.push((self.asks[client], draw));
        state.seen.sort_unstable();
        state.seen.dedup();
        state.phases[client] = Phase::Done;
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let (log, seen) = (Vec::new(), Vec::new());
        let phases = vec![Phase::Idle; self.asks.len()];
        vec![State { log, synced: 0, phases, draws: Vec::new(), seen, crashes: self.crashes }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let busy = |question: u8| {
            state.phases.iter().zip(&self.asks).any(|(phase, asked)| {
                *asked == question
                    && match phase {
                        Phase::Charging(_) | Phase::Drawing => true,
                        Phase::Storing(..) => state.stored(question).is_none(),
                        Phase::Idle | Phase::Done | Phase::Refused => false,
                    }
            })
        };
        for (client, phase) in state.phases.iter().enumerate() {
            match phase {
                Phase::Idle if !busy(self.asks[client]) => actions.push(Action::Ask(client)),
                Phase::Drawing => actions.push(Action::Draw(client)),
                Phase::Charging(end) | Phase::Storing(end, _) if *end <= state.synced => {
                    actions.push(Action::Return(client));
                }
                _ => {}
            }
        }
        if state.synced < state.log.len() {
            actions.push(Action::Sync(state.log.len()));
        }
        if state.crashes > 0 {
            actions.extend((state.synced..=state.log.len()).map(Action::Crash));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Ask(client) => self.ask(&mut state, client),
            Action::Sync(end) => state.synced = end,
            Action::Draw(client) => {
                let (draw, question) = (state.draws.len() as u16, self.asks[client]);
                let whole = if question % 2 == 0 { PRICE } else { DEARER };
                let charged = state.charge(question).unwrap_or(whole);
                let noise = if self.protocol == Protocol::DrawsForTheWholePrice { whole } else { charged };
                state.draws.push((question, noise));
                let end = state.push(Record::Answer { question, draw });
                match self.protocol {
                    Protocol::ShowsBeforeSync | Protocol::DrawsBeforeSync => self.see(&mut state, client, draw),
                    _ => state.phases[client] = Phase::Storing(end, draw),
                }
            }
            Action::Return(client) => match state.phases[client] {
                Phase::Charging(_) => state.phases[client] = Phase::Drawing,
                Phase::Storing(_, draw) => self.see(&mut state, client, draw),
                _ => return None,
            },
            Action::Crash(kept) => {
                state.log.truncate(kept);
                state.synced = kept;
                state.crashes -= 1;
                for phase in &mut state.phases {
                    if *phase != Phase::Done {
                        *phase = Phase::Idle;
                    }
                }
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let spent = |world: &World, state: &State| {
            let charge = |record: &Record| if let Record::Charge { rho, .. } = record { rho.0 } else { 0 };
            state.log.iter().map(charge).sum::<u64>() <= world.cap.0
        };
        vec![
            Property::always("no more is charged than the cap", spent),
            Property::always("no question is charged twice", |world: &World, state: &State| {
                world.asks.iter().all(|question| state.charged(*question) <= 1)
            }),
            Property::always("what is seen is paid for, whatever happens", |_: &World, state: &State| {
                let durable = &state.log[..state.synced];
                let paid = |question: u8| {
                    durable.iter().any(|r| matches!(r, Record::Charge { question: q, .. } if *q == question))
                };
                state.seen.iter().all(|(_, draw)| paid(state.draws[usize::from(*draw)].0))
            }),
            Property::always("no draw has less noise than was charged for it", |_: &World, state: &State| {
                let fits = |(question, noise): &(u8, NanoRho)| state.charge(*question).is_none_or(|rho| *noise <= rho);
                state.draws.iter().all(fits)
            }),
            Property::always("nobody sees two draws of a question", |_: &World, state: &State| {
                state.seen.windows(2).all(|pair| pair[0].0 != pair[1].0)
            }),
            Property::sometimes("everyone is answered", |_: &World, state: &State| {
                state.phases.iter().all(|phase| *phase == Phase::Done)
            }),
            Property::sometimes("somebody is refused", |_: &World, state: &State| {
                state.phases.contains(&Phase::Refused)
            }),
        ]
    }
}

/// Three clients; two of three questions fit under the cap, and a client pays for one.
fn world(protocol: Protocol, asks: [u8; 3]) -> World {
    let cap = if asks == DEAR { NanoRho(11) } else { NanoRho(7) };
    World { protocol, asks: asks.to_vec(), cap, crashes: 2 }
}

/// 64 clients race for 15 questions at one price or two, some asked by few and some by many, of which some fit.
fn crowd(protocol: Protocol) -> World {
    let asks = (0..64_u8).map(|client| if client % 2 == 0 { client % 5 } else { client % 24 }).collect();
    World { protocol, asks, cap: NanoRho(10 * PRICE.0 + 1), crashes: 6 }
}

/// Two of three ask the same, so that some wait, some repeat and some pay.
const SHARED: [u8; 3] = [0, 0, 2];
/// Each asks something else, which is more than the cap.
const OWN: [u8; 3] = [0, 2, 4];
/// One question at two prices.
const DEAR: [u8; 3] = [0, 1, 1];

/// What the faulty protocols break.
const FAULTS: [(Protocol, [u8; 3], &str); 4] = [
    (Protocol::DrawsBeforeSync, SHARED, "what is seen is paid for, whatever happens"),
    (Protocol::ForgetsWhatIsOwed, SHARED, "no question is charged twice"),
    (Protocol::ShowsBeforeSync, SHARED, "nobody sees two draws of a question"),
    (Protocol::DrawsForTheWholePrice, DEAR, "no draw has less noise than was charged for it"),
];

/// Where the random orders begin, and how many states they go through.
const SEED: u64 = 64;
const STATES: usize = 20_000;

/// Returns what was found that should not be: not that all can be answered, nor that somebody can be refused.
fn broken(found: impl IntoIterator<Item = &'static str>) -> Vec<&'static str> {
    found.into_iter().filter(|name| !["everyone is answered", "somebody is refused"].contains(name)).collect()
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was searched")]
fn no_order_of_asking_writing_drawing_and_crashing_breaks_the_ledger() {
    for asks in [SHARED, OWN, [0, 0, 0], DEAR] {
        let checker = world(Protocol::Right, asks).checker().threads(2).spawn_bfs().join();
        let found: Vec<&str> = checker.discoveries().into_keys().collect();
        println!("ledger model: {} states of {asks:?}, {found:?}", checker.unique_state_count());
        assert!(checker.is_done() && checker.unique_state_count() > 1_000);
        assert!(found.contains(&if asks == OWN { "somebody is refused" } else { "everyone is answered" }));
        assert_eq!(broken(found), [""; 0]);
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was searched")]
fn no_random_order_of_sixty_four_clients_breaks_the_ledger() {
    let random = crowd(Protocol::Right).checker().threads(2).target_state_count(STATES);
    let checker = random.spawn_simulation(SEED, UniformChooser).join();
    let found: Vec<&str> = checker.discoveries().into_keys().collect();
    println!("ledger model: {} states of 64 clients, to a depth of {}", checker.state_count(), checker.max_depth());
    assert!(checker.state_count() >= STATES && found.contains(&"somebody is refused"), "{found:?}");
    assert_eq!(broken(found), [""; 0]);
}

#[test]
fn the_model_finds_faulty_protocols_out() {
    for (protocol, asks, broken) in FAULTS {
        let checker = world(protocol, asks).checker().threads(2).spawn_bfs().join();
        assert!(checker.discoveries().contains_key(broken), "{protocol:?}");
        let random = crowd(protocol).checker().threads(2).target_state_count(STATES);
        let checker = random.spawn_simulation(SEED, UniformChooser).join();
        assert!(checker.discoveries().contains_key(broken), "{protocol:?} of 64 clients");
    }
}
