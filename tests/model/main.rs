//! The copy, apply and crash protocol of `docs/correctness.md`, checked in every order of its steps.
//!
//! `source` is a source server: a log, and transactions that show later than they are published. `keyed` is the
//! engine on a table that is copied in chunks while its changes are applied; `keyless` is the engine on a table
//! without a key, with lost connections and a second engine; `family` is the engine on tables whose foreign keys change rows
//! that the log does not name. `stateright` walks through every reachable state.
//!
//! Each rule has its opposite here: a model that breaks it has to fail, so that a model that passes says
//! something. The scenarios marked `ignore` have wider bounds and want an optimised build:
//! `cargo --config profile.test.opt-level=3 test --test model -- --ignored --nocapture`.

mod family;
mod keyed;
mod keyless;
mod source;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

/// Walks every reachable state: no property fails and everything that shall be reachable is.
fn holds<M>(name: &str, model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: Debug + Hash + Send + Sync + Clone + PartialEq + 'static,
    M::Action: Debug + Clone + PartialEq,
{
    let start = Instant::now();
    let checker = model.checker().spawn_bfs().join();
    println!("{name}: {} states, depth {}, {:.1?}", checker.unique_state_count(), checker.max_depth(), start.elapsed());
    checker.assert_properties();
    assert!(checker.is_done(), "{name}: not every state was visited");
}

/// The shortest way into the failure of one property; there must be one.
fn fails<M>(name: &str, model: M, property: &'static str)
where
    M: Model + Send + Sync + 'static,
    M::State: Debug + Hash + Send + Sync + Clone + PartialEq + 'static,
    M::Action: Debug + Clone + PartialEq,
{
    let finish = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checker = model.checker().finish_when(finish).spawn_bfs().join();
    let states = checker.unique_state_count();
    let steps = checker.discovery(property).map(|path| path.into_actions());
    assert!(steps.is_some(), "{name}: broken, and not noticed in {states} states");
    println!("{name}: not `{property}`, {states} states: {:?}", steps.unwrap_or_default());
}
