//! The metrics, made from [`Progress`] at each scrape. No object's name is ever a label.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode as encode_registry;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::api::Phase;
use crate::engine::progress::{BOUNDS, Progress, Snapshot, TableState};

/// Of the OpenMetrics text format.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics as OpenMetrics text.
pub(super) fn encode(progress: Progress) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("godwit");
    registry.register_collector(Box::new(FromProgress(progress)));
    let mut text = String::new();
    encode_registry(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct FromProgress(Progress);

impl Collector for FromProgress {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let snapshot = self.0.snapshot();
        let mut metrics = Metrics(encoder);
        copy(&mut metrics, &snapshot)?;
        apply(&mut metrics, &snapshot)?;
        latency(&mut metrics, &snapshot)?;
        state(&mut metrics, &snapshot)
    }
}

fn copy(metrics: &mut Metrics<'_>, snapshot: &Snapshot) -> fmt::Result {
    let counters = snapshot.counters;
    metrics.counter("copied_rows", "Rows that this process copied in the full copy", counters.rows)?;
    metrics.counter("copied_bytes", "Bytes of those rows", counters.bytes)?;
    metrics.gauge("copy_done_ratio", "Share of the full copy that is done", snapshot.share_done())?;
    let tables = |state: TableState| snapshot.tables.iter().filter(|table| table.state == state).count() as f64;
    metrics.gauges(
        "copy_tables",
        "Tables of the full copy by what is being done with them",
        "state",
        &[
            ("Waiting", tables(TableState::Pending)),
            ("Copying", tables(TableState::Copying)),
            ("Indexing", tables(TableState::Indexing)),
            ("Done", tables(TableState::Done)),
        ],
    )
}

fn apply(metrics: &mut Metrics<'_>, snapshot: &Snapshot) -> fmt::Result {
    let counters = snapshot.counters;
    metrics.counters(
        "applied_rows",
        "Row changes from the binary log that this process applied",
        "operation",
        &[("insert", counters.inserts), ("update", counters.updates), ("delete", counters.deletes)],
    )?;
    metrics.counter("applied_transactions", "Transactions of the source that this process applied", counters.transactions)?;
    metrics.counters(
        "ddl_statements",
        "Definition statements from the binary log",
        "outcome",
        &[("applied", counters.ddl), ("skipped", counters.ddl_skipped)],
    )?;
    metrics.counter("log_read_bytes", "Bytes of the binary log that this process read", counters.log_bytes)
}

fn latency(metrics: &mut Metrics<'_>, snapshot: &Snapshot) -> fmt::Result {
    // Not known is no sample: a scraper then sees a gap and not a zero.
    if let Some(latency) = snapshot.latency {
        let help = "How far the destination is behind the source";
        let mut metric = metrics.0.encode_descriptor("latency", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        metric.encode_gauge(&latency.as_secs_f64())?;
    }
    if let Some(latency) = snapshot.heartbeat_latency {
        let help = "What the newest heartbeat took from the source to the destination";
        let mut metric = metrics.0.encode_descriptor("heartbeat_latency", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        metric.encode_gauge(&latency.as_secs_f64())?;
    }
    let counters = snapshot.counters;
    metrics.counters(
        "heartbeats",
        "Heartbeats on the source",
        "outcome",
        &[("committed", counters.heartbeats), ("failed", counters.heartbeat_failures)],
    )?;
    let help = "Time between a transaction's commit on the source and its visibility at the destination";
    let mut metric = metrics.0.encode_descriptor("apply_latency", help, Some(&Unit::Seconds), MetricType::Histogram)?;
    let histogram = &snapshot.latencies;
    let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(histogram.buckets).collect();
    metric.encode_histogram::<NoLabelSet>(histogram.sum, histogram.count(), &buckets, None)
}

fn state(metrics: &mut Metrics<'_>, snapshot: &Snapshot) -> fmt::Result {
    let now = snapshot.phase();
    let phases = Phase::ALL.map(|phase| (phase.as_str(), f64::from(u8::from(phase == now))));
    metrics.gauges("phase", "1 for the phase that the task is in, 0 for the others", "phase", &phases)?;
    metrics.counter("retries", "How often something was tried again", snapshot.counters.retries)?;
    metrics.counter("failures", "How often the task gave up", snapshot.counters.failures)?;
    metrics.gauge("uptime_seconds", "Time since this process started", snapshot.running_for.as_secs_f64().floor())?;
    metrics.gauges("build_info", "The version that runs", "version", &[(env!("CARGO_PKG_VERSION"), 1.0)])
}

/// Writes one metric a call.
struct Metrics<'a>(DescriptorEncoder<'a>);

impl Metrics<'_> {
    fn metric(&mut self, name: &'static str, help: &str, kind: MetricType) -> Result<MetricEncoder<'_>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    fn counter(&mut self, name: &'static str, help: &str, value: u64) -> fmt::Result {
        self.metric(name, help, MetricType::Counter)?.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn counters(&mut self, name: &'static str, help: &str, label: &str, values: &[(&str, u64)]) -> fmt::Result {
        let mut metric = self.metric(name, help, MetricType::Counter)?;
        for (text, value) in values {
            metric.encode_family(&[(label, *text)])?.encode_counter::<NoLabelSet, _, u64>(value, None)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &'static str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.metric(name, help, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges(&mut self, name: &'static str, help: &str, label: &str, values: &[(&str, f64)]) -> fmt::Result {
        let mut metric = self.metric(name, help, MetricType::Gauge)?;
        for (text, value) in values {
            metric.encode_family(&[(label, *text)])?.encode_gauge(value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn what_a_scraper_sees() {
        let progress = Progress::new("a:3306".into(), "b:3306".into());
        progress.set_phase(Phase::Replicating);
        progress.add_applied(3, 2, 1, 4);
        let now = SystemTime::now();
        progress.applied(now - Duration::from_millis(3), now);
        progress.applied(now - Duration::from_secs(7200), now);
        assert!(!encode(progress.clone()).unwrap().contains("\ngodwit_latency_seconds"));
        progress.set_latency(Some(Duration::from_millis(250)));
        progress.set_heartbeat(Some(Duration::from_millis(125)), Duration::ZERO);
        progress.heartbeat_written();
        let text = encode(progress).unwrap();
        for line in [
            "godwit_applied_rows_total{operation=\"update\"} 2",
            "godwit_applied_transactions_total 4",
            "godwit_latency_seconds 0.25",
            "godwit_apply_latency_seconds_bucket{le=\"0.005\"} 1",
            "godwit_apply_latency_seconds_bucket{le=\"+Inf\"} 2",
            "godwit_apply_latency_seconds_count 2",
            "godwit_heartbeat_latency_seconds 0.125",
            "godwit_heartbeats_total{outcome=\"committed\"} 1",
            "godwit_heartbeats_total{outcome=\"failed\"} 0",
            "godwit_phase{phase=\"Replicating\"} 1",
            "godwit_phase{phase=\"Failed\"} 0",
            "godwit_copied_rows_total 0",
        ] {
            assert!(text.lines().any(|found| found.starts_with(line)), "{line} is missing in\n{text}");
        }
    }

    fn project(path: &str) -> String {
        std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    }

    /// Names of the engine's metrics in a text, each with the selector behind it.
    fn asked(text: &str) -> BTreeSet<(String, String)> {
        // The dashboard's expressions stand in JSON strings.
        let text = text.replace("\\\"", "\"");
        let names = text.match_indices("godwit_").map(|(at, _)| &text[at..]);
        let names = names.filter(|rest| !rest.starts_with("godwit_operator_") && !rest.starts_with("godwit_dev_")).map(|rest| {
            let end = rest.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_').unwrap_or(rest.len());
            let selector = rest[end..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
            (rest[..end].to_owned(), selector.map_or("", |(selector, _)| selector).to_owned())
        });
        names.collect()
    }

    #[test]
    fn what_is_served_is_what_is_documented_and_all_that_the_chart_asks_for() {
        let progress = Progress::new("a:3306".into(), "b:3306".into());
        progress.set_latency(Some(Duration::from_millis(250)));
        progress.set_heartbeat(Some(Duration::from_millis(125)), Duration::ZERO);
        let text = encode(progress).unwrap();
        let served: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let helped: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
        assert_eq!(served, helped);
        let documented = project("docs/kubernetes.md");
        let rows = documented.lines().filter(|line| line.starts_with("| `godwit_")).flat_map(asked);
        let listed: BTreeSet<String> = rows.map(|(name, _)| name.trim_end_matches("_total").to_owned()).collect();
        assert_eq!(listed, served.iter().map(|&name| name.to_owned()).collect());

        let chart = project("charts/godwit/templates/prometheusrule.yaml") + &project("charts/godwit/files/dashboard.json");
        let chart = asked(&chart);
        assert!(chart.len() > 10, "{chart:?}");
        for (name, selector) in chart {
            let is_name = |rest: &str| rest.starts_with([' ', '{']);
            let samples = text.lines().filter(|line| line.strip_prefix(name.as_str()).is_some_and(is_name));
            // Who scrapes adds the labels of the pod, which the dashboard selects by.
            let label = if selector.contains("$namespace") { "" } else { selector.as_str() };
            assert!(samples.clone().any(|line| line.contains(label)), "{name}{{{selector}}} is not served:\n{text}");
        }
    }
}
