//! The cases, by what they are about.

mod hollow_node;
mod lifecycle;
mod validation;

use crate::runner::{Case, Stage};

/// `cases![stage: module::function, …]`: each with its own name.
macro_rules! cases {
    ($stage:ident: $($module:ident :: $name:ident),+ $(,)?) => {
        vec![$(Case {
            name: concat!(stringify!($module), "::", stringify!($name)),
            stage: Stage::$stage,
            run: |world| Box::pin($module::$name(world)),
        }),+]
    };
}

/// All of them.
pub fn all() -> Vec<Case> {
    let shared = cases![Shared:
        lifecycle::from_apply_to_in_sync,
    ];
    let api = cases![Api:
        hollow_node::speaks_the_contract,
        validation::rules_refuse_with_their_message,
        validation::names_of_56_letters_are_the_longest,
        validation::updates_that_cannot_be,
        validation::schema_refusals,
        validation::kubectl_explain_reads,
    ];
    [api, shared].concat()
}
