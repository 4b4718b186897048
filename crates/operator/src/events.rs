//! Publishes Kubernetes events, in their order, at the pace that the API server is given. What is repeated within minutes is counted in the event
//! that stands, as `kubectl describe` shows it. kube's own recorder keeps every event of six minutes whole, and walks them all for each new one.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource};
use serde_json::json;
use tokio::sync::mpsc;

use super::context::Context;

/// Name under which events are reported.
const CONTROLLER: &str = "godwit";
/// For so long an event can be repeated, by the six minutes of Kubernetes' own recorders.
const REPEATED_WITHIN: Duration = Duration::from_secs(360);
/// Events that are remembered for that, at most.
const REMEMBERED: usize = 1000;
/// Events that take their turns at the API server together, at most: half of a second's worth of the default `--api-qps`.
const TOGETHER: usize = 25;

/// What is told as a Kubernetes event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub warning: bool,
    pub reason: String,
    pub message: String,
}

/// What is to be told of an object.
#[derive(Debug)]
pub(crate) struct Telling {
    note: Note,
    regarding: ObjectReference,
}

/// Tellings that wait to be published.
pub(crate) type EventQueue = mpsc::Receiver<Telling>;

/// Hands an event to who publishes them: no look waits for it. One that is lost loses nothing else.
pub(crate) fn tell<K: Resource<DynamicType = ()>>(ctx: &Context, object: &K, note: &Note) {
    if ctx.events.try_send(Telling { note: note.clone(), regarding: object.object_ref(&()) }).is_err() {
        tracing::debug!(reason = note.reason, "more events than can be published; this one is left out");
    }
}

/// Publishes what comes, for as long as anybody can tell. Those that wait take their turns together: where each stood in the queue for requests
/// only after the one before it was written, a busy operator published one event for each length of that queue.
pub(crate) async fn publish(ctx: &Context, mut events: EventQueue) {
    let mut told = Told::default();
    let mut waiting = Vec::with_capacity(TOGETHER);
    while events.recv_many(&mut waiting, TOGETHER).await > 0 {
        let turns: Vec<(Instant, Telling)> = waiting.drain(..).map(|telling| (ctx.turn(), telling)).collect();
        for (turn, telling) in turns {
            tokio::time::sleep_until(turn.into()).await;
            if let Err(error) = send(ctx, &telling, &mut told).await {
                tracing::debug!(%error, reason = telling.note.reason, "the event could not be written");
            }
        }
    }
}

async fn send(ctx: &Context, telling: &Telling, told: &mut Told) -> kube::Result<()> {
    // Those about the cluster's own objects stand in default.
    let namespace = telling.regarding.namespace.as_deref().unwrap_or("default");
    let api = Api::<Event>::namespaced(ctx.client.clone(), namespace);
    let (now, key) = (Timestamp::now(), key(telling));
    if let Some((name, count)) = told.again(key, Instant::now()) {
        let series = json!({"series": {"count": count, "lastObservedTime": MicroTime(now)}});
        match api.patch(&name, &PatchParams::default(), &Patch::Merge(&series)).await {
            // It has been removed meanwhile: it is made anew.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            result => return result.map(drop),
        }
    }
    let name = format!("{}.{:x}", telling.regarding.name.as_deref().unwrap_or(CONTROLLER), now.as_nanosecond());
    api.create(&PostParams::default(), &event(telling, &name, &ctx.settings.identity, now)).await?;
    told.first(key, name, Instant::now());
    Ok(())
}

fn event(telling: &Telling, name: &str, identity: &str, now: Timestamp) -> Event {
    Event {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: telling.regarding.namespace.clone(),
            ..ObjectMeta::default()
        },
        action: Some("Reconcile".to_owned()),
        reason: Some(telling.note.reason.clone()),
        note: Some(telling.note.message.clone()),
        type_: Some(if telling.note.warning { "Warning" } else { "Normal" }.to_owned()),
        event_time: Some(MicroTime(now)),
        regarding: Some(telling.regarding.clone()),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(identity.to_owned()),
        ..Event::default()
    }
}

/// What makes an event the same as one before: all but its words.
fn key(telling: &Telling) -> u64 {
    let ObjectReference { kind, namespace, name, uid, .. } = &telling.regarding;
    let mut hasher = DefaultHasher::new();
    (kind, namespace, name, uid, &telling.note.reason, telling.note.warning).hash(&mut hasher);
    hasher.finish()
}

/// Events of the last minutes: under which names they stand, and how often each was told.
#[derive(Debug, Default)]
struct Told {
    events: HashMap<u64, Standing>,
    /// In the order in which they were told first.
    order: VecDeque<(u64, Instant)>,
}

#[derive(Debug)]
struct Standing {
    name: String,
    count: i32,
    first: Instant,
    last: Instant,
}

impl Told {
    /// Name and count of the event that stands, if this one repeats it.
    fn again(&mut self, key: u64, now: Instant) -> Option<(String, i32)> {
        let standing = self.events.get_mut(&key).filter(|standing| now.duration_since(standing.last) < REPEATED_WITHIN)?;
        (standing.count, standing.last) = (standing.count.saturating_add(1), now);
        Some((standing.name.clone(), standing.count))
    }

    fn first(&mut self, key: u64, name: String, now: Instant) {
        self.events.insert(key, Standing { name, count: 1, first: now, last: now });
        self.order.push_back((key, now));
        while self.order.len() > REMEMBERED {
            let Some((key, first)) = self.order.pop_front() else { break };
            // One that was told anew since has a later place.
            if self.events.get(&key).is_some_and(|standing| standing.first == first) {
                self.events.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_is_counted_for_a_while() {
        let (mut told, began) = (Told::default(), Instant::now());
        assert_eq!(told.again(1, began), None);
        told.first(1, "one".into(), began);
        assert_eq!(told.again(1, began), Some(("one".into(), 2)));
        let later = began + REPEATED_WITHIN - Duration::from_secs(1);
        assert_eq!(told.again(1, later), Some(("one".into(), 3)));
        assert_eq!(told.again(2, later), None);
        assert_eq!(told.again(1, later + REPEATED_WITHIN), None, "that was another time");
    }

    #[test]
    fn the_memory_of_events_is_bounded() {
        let (mut told, now) = (Told::default(), Instant::now());
        told.first(1, "old".into(), now);
        for key in 2..=REMEMBERED as u64 {
            told.first(key, String::new(), now);
        }
        told.first(1, "anew".into(), now + Duration::from_secs(1));
        assert_eq!((told.events.len(), told.order.len()), (REMEMBERED, REMEMBERED));
        assert_eq!(told.again(1, now + Duration::from_secs(2)), Some(("anew".into(), 2)), "told anew, so not the oldest");
        told.first(0, String::new(), now);
        assert_eq!(told.again(2, now), None, "the oldest goes");
    }

    #[test]
    fn the_words_alone_make_no_other_event() {
        let telling = |name: &str, reason: &str, message: &str| Telling {
            note: Note { warning: true, reason: reason.into(), message: message.into() },
            regarding: ObjectReference { name: Some(name.into()), ..ObjectReference::default() },
        };
        assert_eq!(key(&telling("shop", "Failed", "1 of 2")), key(&telling("shop", "Failed", "2 of 2")));
        assert_ne!(key(&telling("shop", "Failed", "")), key(&telling("web", "Failed", "")));
        assert_ne!(key(&telling("shop", "Failed", "")), key(&telling("shop", "Retrying", "")));
    }
}
