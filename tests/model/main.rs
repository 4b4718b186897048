//! The copy, apply and crash protocol of `docs/correctness.md`, checked in every order of its steps.
//!
//! `source` is a source server: a log, and transactions that show later than they are published. `keyed` is the
//! engine on a table that is copied in chunks while its changes are applied; `keyless` is the engine on a table
//! without a key, with lost connections and a second engine; `family` is the engine on tables whose foreign keys change rows
//! that the log does not name; `behind` is the engine at a destination that cannot commit rows and their record together. `stateright` walks through every reachable state.
//!
//! Each rule has its opposite here: a model that breaks it has to fail, so that a model that passes says
//! something. The scenarios marked `ignore` have wider bounds and want an optimised build:
//! `cargo --config profile.test.opt-level=3 test --test model -- --ignored --nocapture`.

/// A test for each rule: the scenario without it has to fail a property.
macro_rules! broken {
    ($($rule:ident: $scenario:expr => $property:expr;)*) => {
        #[allow(non_snake_case)]
        mod broken {
            use super::*;
            $(
                #[test]
                fn $rule() {
                    crate::fails(stringify!($rule), without($scenario, Broken::$rule), $property);
                }
            )*
        }
    };
}

mod behind;
mod family;
mod keyed;
mod keyless;
mod source;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model, Property};

const NEVER_STUCK: &str = "no run stops before the end";
const DONE: &str = "a run comes to its end";

/// What runs of all models have in common.
trait Run: Model {
    /// Whether the source has done all that it will.
    fn is_exhausted(&self, state: &Self::State) -> bool;

    /// Whether the engine has nothing left to do.
    fn is_at_rest(&self, state: &Self::State) -> bool;
}

/// Wherever a run stands, there is a step, or it is at its end; and one comes there.
fn ends<M: Run>() -> [Property<M>; 2] {
    [
        Property::always(NEVER_STUCK, |model: &M, state: &M::State| {
            if !model.is_exhausted(state) {
                return true;
            }
            let mut steps = Vec::new();
            model.actions(state, &mut steps);
            !steps.is_empty() || model.is_at_rest(state)
        }),
        Property::sometimes(DONE, |model: &M, state: &M::State| model.is_exhausted(state) && model.is_at_rest(state)),
    ]
}

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
