//! Whatever row the source can hold, the destination can be sent.

use crate::destination::mysql::SMALL_BYTES;
use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, bytes_text};

/// What every server has to take.
const LEAST: u64 = SMALL_BYTES as u64;

/// What a server takes at most.
const LARGEST: u64 = 1 << 30;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let source = context.source.number("max_allowed_packet")?;
    let destination = context.destination.number("max_allowed_packet")?;
    for (side, bytes, server) in [("source", source, &context.source), ("destination", destination, &context.destination)] {
        if bytes < LEAST {
            return Some(Finding::failed(
                format!("max_allowed_packet is {bytes} at the {side}"),
                "statements that read and write rows take up to 1 MiB; a server that takes less breaks the connection in the middle of one",
                server.set_variable("max_allowed_packet", "67108864"),
            ));
        }
    }
    let seen = format!("max_allowed_packet is {source} at the source and {destination} at the destination");
    if destination >= source {
        return Some(Finding::passed(seen));
    }
    let largest = context.plan.tables.iter().map(|table| table.definition.average_row_bytes).max().unwrap_or(0);
    let note = if largest.saturating_mul(2) > destination {
        format!("; rows of {} on average are selected", bytes_text(largest))
    } else {
        String::new()
    };
    Some(Finding::warning(
        format!("{seen}{note}"),
        "a row that fits the source's limit only cannot be written at the destination, and stops the task",
        context.destination.set_variable("max_allowed_packet", &source.min(LARGEST).to_string()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, set};
    use godwit_api::Verdict;

    #[test]
    fn the_destination_must_take_as_much() {
        for (source, destination, expected) in [
            ("67108864", "67108864", Verdict::Passed),
            ("4194304", "67108864", Verdict::Passed),
            ("67108864", "4194304", Verdict::Warning),
            ("67108864", "524288", Verdict::Failed),
            ("524288", "67108864", Verdict::Failed),
        ] {
            let mut context = context();
            set(&mut context.source, "max_allowed_packet", source);
            set(&mut context.destination, "max_allowed_packet", destination);
            let found = check(&context).unwrap();
            assert_eq!(found.verdict, expected);
            if expected == Verdict::Warning {
                assert_eq!(found.remedy, "SET PERSIST max_allowed_packet = 67108864;");
            }
        }
    }
}
