//! Looks one after another, in a world in which nothing changes but by them: they come to rest.

use super::*;

/// What stays from one look to the next beside what is observed.
struct World<'a> {
    case: &'a Case,
    observed: Observed,
    /// What an engine of each mode says.
    engines: [(EngineMode, Option<Value>); 3],
    created: u32,
}

impl World<'_> {
    fn look(&mut self) -> Look {
        let mode = self.observed.pod.as_ref().and_then(|pod| pod.mode);
        let said = self.engines.iter().find(|(of, _)| Some(*of) == mode).and_then(|(_, said)| said.as_ref());
        let answer = said.map(|engine| Reply::Report(Box::new(report_of(engine, &self.observed.status))));
        let look = look_with(&self.observed, self.case.waits, answer);
        self.observed.status = look.status.clone();
        self.act(&look.step);
        look
    }

    /// What becomes of the step: a pod that is deleted ends for one more look, one that is made is ready at once.
    fn act(&mut self, step: &Step) {
        let task = Arc::clone(&self.observed.task);
        let ended = self.observed.pod.as_ref().is_some_and(|pod| super::super::finished(pod, &self.observed.status));
        match step {
            Step::Delete { .. } | Step::Conclude => self.end(),
            Step::Ask if ended => self.end(),
            Step::AwaitEnd if self.observed.pod.as_ref().is_some_and(|pod| pod.deleting.is_some()) => self.observed.pod = None,
            Step::Create(mode) => {
                self.created += 1;
                let case = PodCase { mode: Some(*mode), phase: "Running".into(), ready: true, age: 60, ..PodCase::default() };
                self.observed.pod = Some(pod(&case, &task, &self.observed.secrets.hosts));
                let refused = decide::refused_change(&self.observed);
                self.observed.plan = Some(PlanView {
                    mode: Some(*mode),
                    template: if refused {
                        "accepted".into()
                    } else {
                        digest::template(&task, *mode, &self.observed.secrets.hosts)
                    },
                    plan: String::new(),
                    fingerprint: if refused { "other".into() } else { digest::fingerprint(&task.spec) },
                    asked: [EngineMode::Precheck, EngineMode::Run].map(|mode| digest::asked(&task, mode, &self.observed.secrets)),
                    generation: 0,
                    token: String::new(),
                });
            }
            _ => {}
        }
    }

    fn end(&mut self) {
        if let Some(pod) = &mut self.observed.pod {
            pod.deleting = Some(now());
        }
    }
}

/// Looks at a case until it should have come to rest, with engines that always say the same.
fn settles(case: &Case, precheck: &Value, run: &Value, stop: &Value) -> Result<(), String> {
    let mut observed = observed(case);
    // Deleted pods end, and a young one is no longer one.
    if let Some(pod) = &mut observed.pod {
        pod.created = Some(ago(60));
    }
    let said = |value: &Value| (!value.is_null()).then(|| value.clone());
    let engines = [(EngineMode::Precheck, said(precheck)), (EngineMode::Run, said(run)), (EngineMode::Stop, said(stop))];
    let mut world = World { case, observed, engines, created: 0 };
    let seen: Vec<Look> = (0..20).map(|_| world.look()).collect();
    let tail = &seen[14..];
    let moved =
        tail.windows(2).any(|pair| report::is_transition(&pair[0].status, &pair[1].status) || pair[0].step != pair[1].step);
    if moved || world.created > 3 {
        let course: Vec<String> = seen
            .iter()
            .map(|look| format!("{}/{}/{:?}", shown_goal(&look.goal), shown_step(&look.step), look.status.phase))
            .collect();
        return Err(format!("{} with {precheck}, {run}, {stop}: {} pods, {}", case.name, world.created, course.join(" ")));
    }
    Ok(())
}

#[test]
fn every_case_comes_to_rest() {
    let cases: Vec<Case> = serde_saphyr::from_str(include_str!("../fixtures/cases.yaml")).unwrap();
    let prechecks = [
        json!({"phase": "Pending", "conditions": [{"type": "PrecheckPassed", "status": "True"}]}),
        json!({"phase": "PrecheckFailed", "message": "a check failed", "conditions": [{"type": "PrecheckPassed", "status": "False"}]}),
        Value::Null,
    ];
    let runs = [
        json!({"phase": "Pending"}),
        json!({"phase": "Copying"}),
        json!({"phase": "Replicating", "latencySeconds": 0}),
        json!({"phase": "Failed", "message": "the table was dropped"}),
        json!({"phase": "PrecheckFailed", "message": "a check failed", "conditions": [{"type": "PrecheckPassed", "status": "False"}]}),
        json!({"phase": "Retrying", "retry": {"error": "connection refused", "attempts": 3}}),
        json!({"phase": "Completed"}),
        Value::Null,
    ];
    let stops =
        [json!({"phase": "Stopped"}), json!({"phase": "Failed", "message": "the destination does not answer"}), Value::Null];
    let mut wrong = Vec::new();
    for case in &cases {
        wrong.extend(stops.iter().filter_map(|stop| settles(case, &prechecks[0], &runs[1], stop).err()));
        for precheck in &prechecks {
            wrong.extend(runs.iter().filter_map(|run| settles(case, precheck, run, &stops[0]).err()));
        }
    }
    assert!(wrong.is_empty(), "{} of them do not:\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
}

#[test]
fn what_is_told_is_told_once() {
    let cases: Vec<Case> = serde_saphyr::from_str(include_str!("../fixtures/cases.yaml")).unwrap();
    for case in &cases {
        let mut observed = observed(case);
        let first = look(&observed, case);
        observed.status = first.status.clone();
        let second = look(&observed, case);
        if second.goal == first.goal && second.step == first.step && first.status.phase == second.status.phase {
            assert!(!report::is_transition(&first.status, &second.status), "{}", case.name);
        }
    }
}
