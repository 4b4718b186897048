//! The cases, by what they are about.

mod changes;
mod columns;
mod faults;
mod hollow_node;
mod leaks;
mod lifecycle;
mod malformed;
mod many;
mod metrics;
mod people;
mod pods;
mod pools;
mod release;
mod restarts;
mod states;
mod tenants;
mod together;
mod validation;
mod writes;

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
    let api = cases![Api:
        hollow_node::speaks_the_contract,
        validation::rules_refuse_with_their_message,
        validation::names_of_56_letters_are_the_longest,
        validation::updates_that_cannot_be,
        validation::schema_refusals,
        validation::broken_manifests_are_judged_alike,
        validation::kubectl_explain_reads,
        people::roles_of_the_cluster_take_in_tasks,
        tenants::the_sample_policy_holds_on_the_api_server,
        together::a_port_is_no_part_of_a_host,
    ];
    let shared = cases![Shared:
        lifecycle::from_apply_to_in_sync,
        lifecycle::ends_by_itself,
        lifecycle::waits_for_its_secrets,
        lifecycle::a_failed_precheck_is_tried_again_when_asked,
        lifecycle::a_failed_precheck_is_tried_again_by_itself,
        lifecycle::items_of_the_precheck_before_are_not_shown,
        lifecycle::a_precheck_that_fails_in_the_engine_is_tried_again_with_pauses,
        lifecycle::a_quick_precheck_is_read_from_its_termination_log,
        states::paused_and_resumed,
        states::paused_from_the_start,
        states::a_pause_ends_gracefully,
        states::stopped_for_good,
        states::a_definite_error_parks_the_task,
        states::an_error_of_any_length_is_told,
        states::restarted_when_asked,
        states::released_when_deleted,
        states::fenced_when_deleted,
        states::stopped_without_its_secret,
        states::a_fence_that_fails_is_tried_again,
        states::a_fence_of_one_that_never_ran_claims_no_marker,
        states::a_fence_without_its_destination_is_told_soon,
        states::a_namespace_that_goes_waits_for_no_fence,
        states::a_policy_that_changes_takes_its_finalizer_along,
        pods::an_evicted_one_is_replaced,
        pods::a_deleted_one_is_replaced,
        pods::one_on_a_lost_node_is_replaced,
        pods::one_out_of_memory_goes_on_by_itself,
        pods::one_that_never_gets_ready_is_told,
        pods::one_that_does_not_answer_is_told,
        pods::a_strangers_objects_are_left_alone,
        pods::a_refused_one_is_told_and_made_when_it_may_be,
        pods::one_that_cannot_start_follows_its_pool,
        changes::throttles_apply_live,
        changes::throttles_apply_live_whatever_else_has_changed,
        changes::what_an_engine_takes_at_its_start_replaces_it,
        changes::what_can_never_change_is_refused,
        changes::a_refused_spec_does_not_come_in_with_a_new_pod,
        changes::changed_before_it_ever_ran,
        changes::tasks_that_share_a_server_share_the_shortest_retry,
        pools::one_that_does_not_exist,
        pools::one_for_other_namespaces,
        pools::more_units_than_it_will_ever_have,
        pools::the_queue_is_by_priority_then_age,
        pools::many_at_once_share_few_units,
        pools::one_that_shrinks_evicts_nobody,
        pools::overcommit_divides_requests,
        pools::units_times_what_one_is_worth,
        pools::pods_go_where_the_pool_says,
        pools::one_in_use_cannot_go,
        pools::an_unused_one_goes_at_once,
        pools::a_task_that_moves_gives_its_units_back,
        pools::units_are_handed_on_when_their_pod_is_gone,
        pools::a_blocked_task_keeps_nobody_waiting,
        pools::a_running_task_that_asks_for_more_than_there_is_goes_on,
        tenants::another_namespace_does_not_shorten_retry,
        tenants::priorities_have_a_ceiling,
        tenants::a_long_plan_reaches_its_engine,
        together::a_task_that_is_deleted_with_its_secrets_is_fenced,
        together::a_fence_that_cannot_be_had_tells_the_way_out,
        together::what_an_orphaning_deletion_left_is_taken_over,
        together::a_change_after_the_end_is_not_passed_over,
        together::secrets_that_are_touched_restart_nobody,
        together::a_written_secret_ends_the_pause_after_a_failure,
        together::a_failed_precheck_says_what_to_do,
        together::pods_carry_what_the_pool_says,
        together::two_that_ask_for_more_hold_up_nobody,
        together::an_unused_pool_has_no_finalizer,
        together::the_host_that_is_shown_is_the_one_of_the_spec,
        columns::kubectl_get,
        writes::an_idle_task_causes_none,
        writes::a_busy_task_causes_one_in_ten_seconds,
    ];
    let alone = cases![Alone:
        many::a_hundred_at_once_all_arrive,
        restarts::killed_while_tasks_run,
        restarts::killed_again_and_again_while_a_queue_moves,
        restarts::two_operators_have_one_leader,
        restarts::another_image_replaces_engines_at_a_pace,
        pools::the_shared_default_queues_too,
        restarts::a_leader_that_is_cut_off_gives_up,
        restarts::limited_to_namespaces,
        together::a_typo_in_the_image_costs_one_engine,
        together::a_namespace_that_is_gone_stops_no_other,
        metrics::every_metric_is_served_and_moves,
        faults::refused_writes_are_made_again,
        faults::watches_that_expire_or_are_cut_come_back,
        faults::a_dead_watch_makes_it_unready,
        faults::a_hung_request_holds_up_nobody_else,
        faults::an_api_server_that_is_gone_for_a_while,
        faults::a_restart_waits_for_its_port,
        malformed::one_resource_that_cannot_be_read_stops_nobody,
        malformed::units_of_one_that_cannot_be_read_count,
        malformed::a_pool_that_cannot_be_read_is_called_that,
        tenants::many_large_tasks_do_not_fill_the_operator,
    ];
    // In this order: the last one takes all tasks away.
    let last = cases![Last:
        validation::every_rule_has_refused,
        leaks::no_secret_value_is_anywhere,
        leaks::the_contract_was_kept,
        leaks::the_role_sufficed,
        leaks::the_role_is_no_larger,
        restarts::waits_for_its_crds,
        release::from_install_to_reinstall,
    ];
    [api, shared, alone, last].concat()
}
