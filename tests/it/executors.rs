//! One suite of behaviours for every executor: a push goes in, by real containers or processes it comes to its end, and
//! what people see of it is the same everywhere. What an executor cannot do, it refuses by name.

mod behaviours;
mod engine;
mod refusals;
mod rights;

use crate::harness::{
    cluster::Cluster,
    place::{Engine, Machine},
    server::Server,
};

/// A test of each behaviour, at a place.
macro_rules! at {
    ($place:ident, $get:expr, $of:ident, [$($behaviour:ident),+ $(,)?]) => {
        mod $place {
            use super::*;

            $(
                // what a test itself changes in the database must be over while git blocks its thread
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    let Some(place) = $get(stringify!($behaviour)).await else { return };
                    $of::$behaviour(Server::at(place).await).await;
                }
            )+
        }
    };
}

async fn a_cluster(test: &str) -> Option<Cluster> {
    let name: String = test.chars().filter(|c| *c != '_').take(20).collect();
    Cluster::get(&name).await
}

async fn an_engine(_: &str) -> Option<Engine> {
    Engine::get()
}

async fn a_podman(_: &str) -> Option<Engine> {
    Engine::podman()
}

async fn this_machine(_: &str) -> Option<Machine> {
    Some(Machine)
}

at!(
    kubernetes,
    a_cluster,
    behaviours,
    [
        a_job_sees_its_environment_and_no_other,
        jobs_share_files_and_what_follows_a_failure_is_skipped,
        artifacts_and_caches_outlive_their_actions,
        reports_of_tests_are_read_however_their_job_ends,
        every_byte_of_a_log_arrives,
        much_output_arrives_as_it_was,
        a_job_over_its_time_is_ended_and_its_log_is_kept,
        a_cancelled_job_may_clean_up,
        what_a_job_leaves_behind_goes_with_it,
        a_job_that_takes_too_much_memory_is_told_so,
        images_start_by_their_own_entrypoint_and_user,
        a_file_and_components_of_the_original_run_unchanged,
        an_image_that_does_not_exist_is_the_authors_mistake,
        services_run_beside_jobs_until_the_last_has_ended,
        services_that_are_not_ready_fail_their_action,
    ]
);

at!(
    docker,
    an_engine,
    behaviours,
    [
        a_job_sees_its_environment_and_no_other,
        jobs_share_files_and_what_follows_a_failure_is_skipped,
        artifacts_and_caches_outlive_their_actions,
        reports_of_tests_are_read_however_their_job_ends,
        every_byte_of_a_log_arrives,
        much_output_arrives_as_it_was,
        a_job_over_its_time_is_ended_and_its_log_is_kept,
        a_cancelled_job_may_clean_up,
        what_a_job_leaves_behind_goes_with_it,
        a_job_that_takes_too_much_memory_is_told_so,
        images_start_by_their_own_entrypoint_and_user,
        a_file_and_components_of_the_original_run_unchanged,
        an_image_that_does_not_exist_is_the_authors_mistake,
        services_run_beside_jobs_until_the_last_has_ended,
        services_that_are_not_ready_fail_their_action,
    ]
);

at!(
    podman,
    a_podman,
    behaviours,
    [
        a_job_sees_its_environment_and_no_other,
        jobs_share_files_and_what_follows_a_failure_is_skipped,
        artifacts_and_caches_outlive_their_actions,
        reports_of_tests_are_read_however_their_job_ends,
        every_byte_of_a_log_arrives,
        much_output_arrives_as_it_was,
        a_job_over_its_time_is_ended_and_its_log_is_kept,
        a_cancelled_job_may_clean_up,
        what_a_job_leaves_behind_goes_with_it,
        a_job_that_takes_too_much_memory_is_told_so,
        images_start_by_their_own_entrypoint_and_user,
        a_file_and_components_of_the_original_run_unchanged,
        an_image_that_does_not_exist_is_the_authors_mistake,
        services_run_beside_jobs_until_the_last_has_ended,
        services_that_are_not_ready_fail_their_action,
    ]
);

at!(
    process,
    this_machine,
    behaviours,
    [
        a_job_sees_its_environment_and_no_other,
        jobs_share_files_and_what_follows_a_failure_is_skipped,
        artifacts_and_caches_outlive_their_actions,
        reports_of_tests_are_read_however_their_job_ends,
        every_byte_of_a_log_arrives,
        much_output_arrives_as_it_was,
        a_job_over_its_time_is_ended_and_its_log_is_kept,
        a_cancelled_job_may_clean_up,
        what_a_job_leaves_behind_goes_with_it,
    ]
);

at!(
    rights_on_kubernetes,
    a_cluster,
    rights,
    [
        an_image_is_privileged_where_the_operator_says_so_and_no_other,
        an_image_that_not_everybody_may_have_is_fetched_by_the_organisations_key,
    ]
);

// a Docker in a container cannot start a privileged one: see `engine` for what it is asked
at!(rights_on_docker, an_engine, rights, [an_image_that_not_everybody_may_have_is_fetched_by_the_organisations_key]);

at!(
    rights_on_podman,
    a_podman,
    rights,
    [
        an_image_is_privileged_where_the_operator_says_so_and_no_other,
        an_image_that_not_everybody_may_have_is_fetched_by_the_organisations_key,
    ]
);
