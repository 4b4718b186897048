//! `godwit verify`: compares both sides.

use std::fmt::Write;

use super::input::{self, ManifestFile};
use super::{Exit, Failure, LogArguments, Output, signals, text};
use crate::api::{Difference, SchemaDifference, TableVerification, VerifyReport};
use crate::engine;

/// Examples that are shown of one table; JSON has more.
const SAMPLES: usize = 5;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    manifest: ManifestFile,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// Write what the source has over what differs at the destination
    #[arg(long)]
    repair: bool,
}

/// Prints what was found; 0 when both sides are equal, else 4.
pub(super) fn run(arguments: Arguments, log: LogArguments) -> Result<Exit, Failure> {
    let manifest = arguments.manifest.load()?;
    log.start(true, None)?;
    let progress = input::progress(&manifest)?;
    let report = super::block_on(async {
        let cancel = signals::cancellation()?;
        Ok(engine::verify_only(input::task(manifest, false), arguments.repair, progress, cancel).await?)
    })?;
    match arguments.output {
        Output::Text => super::print(&render(&report))?,
        Output::Json => super::print_json(&report)?,
    }
    Ok(if report.equal { Exit::Success } else { Exit::Different })
}

fn render(report: &VerifyReport) -> String {
    let mut text = String::new();
    for table in &report.tables {
        write_table(&mut text, table);
    }
    for difference in &report.schema {
        write_definition(&mut text, difference);
    }
    let rows = report.tables.iter().map(|table| table.rows).sum();
    let compared =
        format!("{} in {}", text::counted(rows, "row", "rows"), text::counted(report.tables.len() as u64, "table", "tables"));
    let verdict = if report.equal { "Equal" } else { "Different" };
    let _ = write!(text, "\n{verdict}: {compared} compared");
    if let Some(position) = &report.source_position {
        let at = position.gtid_set.clone().or_else(|| Some(format!("{}:{}", position.file.as_ref()?, position.offset?)));
        if let Some(at) = at {
            let _ = write!(text, ", source at {}", at.replace('\n', ""));
        }
    }
    text.push_str(".\n");
    text
}

fn write_table(text: &mut String, table: &TableVerification) {
    let name = if table.source == table.destination {
        table.source.clone()
    } else {
        format!("{} -> {}", table.source, table.destination)
    };
    let mut found = Vec::new();
    for (number, what) in
        [(table.missing, "missing"), (table.extra, "extra"), (table.different, "different"), (table.repaired, "repaired")]
    {
        if number > 0 {
            found.push(format!("{} {what}", text::count(number)));
        }
    }
    let result = match &table.error {
        Some(error) => format!("not compared: {error}"),
        None if found.is_empty() => "equal".to_owned(),
        None => found.join(", "),
    };
    let _ = writeln!(text, "{name:<40} {:>14}  {result}", text::counted(table.rows, "row", "rows"));
    for sample in table.samples.iter().take(SAMPLES) {
        let _ = writeln!(text, "    {}", difference(sample));
    }
}

fn difference(sample: &Difference) -> String {
    let absent = || "absent".to_owned();
    let (source, destination) = (sample.source.clone().unwrap_or_else(absent), sample.destination.clone().unwrap_or_else(absent));
    match &sample.column {
        Some(column) => format!("{}  {column}: source {source}, destination {destination}", sample.key),
        None if sample.destination.is_none() => format!("{}  missing at the destination", sample.key),
        None => format!("{}  extra at the destination", sample.key),
    }
}

fn write_definition(text: &mut String, difference: &SchemaDifference) {
    let absent = || "absent".to_owned();
    let _ = writeln!(
        text,
        "{}: {}: source {}, destination {}",
        difference.object,
        difference.what,
        difference.source.clone().unwrap_or_else(absent),
        difference.destination.clone().unwrap_or_else(absent)
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Position;

    #[test]
    fn what_people_read() {
        let sample = |column: Option<&str>, source: Option<&str>, destination: Option<&str>| Difference {
            key: "id=17".into(),
            column: column.map(Into::into),
            source: source.map(Into::into),
            destination: destination.map(Into::into),
        };
        let tables = vec![
            TableVerification {
                source: "shop.items".into(),
                destination: "shop.items".into(),
                rows: 12_000,
                ..TableVerification::default()
            },
            TableVerification {
                source: "shop.orders".into(),
                destination: "new.orders".into(),
                rows: 3,
                missing: 1,
                different: 1,
                samples: vec![sample(Some("total"), Some("1.00"), Some("NULL")), sample(None, Some("id=17"), None)],
                ..TableVerification::default()
            },
        ];
        let position = Position { gtid_set: Some("0-1-77".into()), ..Position::default() };
        let report = VerifyReport::new(Some(position), tables, Vec::new());
        let expected = "\
shop.items                                  12,000 rows  equal
shop.orders -> new.orders                        3 rows  1 missing, 1 different
    id=17  total: source 1.00, destination NULL
    id=17  missing at the destination

Different: 12,003 rows in 2 tables compared, source at 0-1-77.
";
        assert_eq!(render(&report), expected);
    }
}
