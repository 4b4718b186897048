//! Where one stands in the log, in bytes that do not wrap.
//!
//! Headers have 32 bits for a position, while one transaction can make a file larger than 4 GiB; MariaDB 11.4
//! writes 0 into the events inside a transaction (seen on 11.4.5).

use super::event::RawEvent;
use super::format::Rotate;

/// Positions in headers start again from 0 here.
const WRAP: u64 = 1 << 32;

/// File and offset behind the last event taken from the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOffset {
    pub file: String,
    pub offset: u64,
}

impl LogOffset {
    /// Where the stream was asked to start; servers confirm it with a ROTATE of their own.
    pub fn new(file: impl Into<String>, offset: u64) -> Self {
        Self { file: file.into(), offset }
    }

    /// The stream goes on in another file, or confirms the present one: its 32-bit position must not take
    /// back what is known better.
    pub fn rotate(&mut self, rotate: &Rotate) {
        if self.file != rotate.file {
            self.file.clone_from(&rotate.file);
            self.offset = rotate.position;
        } else if rotate.position > self.offset {
            self.offset = rotate.position;
        }
    }

    /// Moves behind an event of the stream (not of a compressed transaction's inside).
    pub fn advance(&mut self, event: &RawEvent<'_>) {
        let end = u64::from(event.log_pos);
        if end == 0 {
            let in_file = !event.is_artificial() && !event.is_head();
            self.offset += if in_file { u64::from(event.event_size) } else { 0 };
            return;
        }
        if event.is_head() {
            self.offset = self.offset.max(end);
            return;
        }
        // The smallest position with these low bits that is not behind us. Events that a server skips (GTIDs the
        // reader has) move it too, by heartbeats.
        let same = self.offset & !(WRAP - 1) | end;
        self.offset = if same >= self.offset { same } else { same + WRAP };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(event_type: u8, event_size: u32, log_pos: u32, flags: u16) -> RawEvent<'static> {
        RawEvent { timestamp: 0, event_type, server_id: 1, event_size, log_pos, flags, body: &[] }
    }

    #[test]
    fn follows_a_file_beyond_4_gib() {
        let mut place = LogOffset::new("b.000001", 4);
        place.rotate(&Rotate { file: "b.000001".into(), position: 4 });
        place.advance(&event(15, 120, 124, 0));
        place.advance(&event(30, 4_000_000_000, 4_000_000_124, 0));
        place.advance(&event(30, 1_000_000_000, 705_032_828, 0));
        assert_eq!(place, LogOffset::new("b.000001", 5_000_000_124));
        place.advance(&event(16, 31, 705_032_859, 0));
        assert_eq!(place.offset, 5_000_000_155);
        place.rotate(&Rotate { file: "b.000002".into(), position: 4 });
        assert_eq!(place, LogOffset::new("b.000002", 4));
    }

    #[test]
    fn events_without_a_position_count_by_size() {
        // As MariaDB 11.4 writes them.
        let mut place = LogOffset::new("b.000001", 680);
        for (event_type, size, log_pos) in [(19, 44, 0), (23, 246, 0), (16, 31, 1001)] {
            place.advance(&event(event_type, size, log_pos, 0));
        }
        assert_eq!(place.offset, 1001);
    }

    #[test]
    fn a_start_in_the_middle_is_kept() {
        let mut place = LogOffset::new("b.000001", 1 << 33);
        // The file's head is sent again, with its own position or none.
        place.advance(&event(4, 40, 0, 0x20));
        place.advance(&event(15, 120, 0, 0));
        place.advance(&event(15, 252, 256, 0));
        place.advance(&event(27, 40, 0, 0));
        assert_eq!(place.offset, 1 << 33);
    }
}
