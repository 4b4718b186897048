//! A task's way from `kubectl apply` to its end.

use std::sync::Arc;

use godwit::api::Phase;

use crate::support::fixtures::{Task, condition};
use crate::support::world::World;

pub async fn from_apply_to_in_sync(world: Arc<World>) {
    let namespace = world.namespace("flow").await;
    let task = Task::new(&world, &namespace, "shop").create().await;
    let status = task.until_in_sync().await;
    assert_eq!(status.phase, Some(Phase::Replicating));
    assert_eq!(condition(&status, "PrecheckPassed"), "True");
}
