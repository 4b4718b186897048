//! Many tasks at once.

use std::sync::Arc;
use std::time::Instant;

use crate::support::fixtures::Task;
use crate::support::operator::{Operator, Options};
use crate::support::world::World;

pub async fn a_hundred_at_once_all_arrive(world: Arc<World>) {
    let namespace = world.namespace("many").await;
    let _operator = Operator::start(&world, Options::named("many")).await;
    let began = Instant::now();
    let tasks = (0..100).map(|number| Task::new(&world, &namespace, &format!("task-{number}")).create());
    let tasks = futures_util::future::join_all(tasks).await;
    for task in &tasks {
        task.until_in_sync().await;
    }
    println!("100 tasks in sync after {:.1} s", began.elapsed().as_secs_f32());
    assert!(tasks.iter().all(|task| task.record().runs == 1 && task.record().prechecks == 1));
}
