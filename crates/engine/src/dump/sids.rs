//! Transactions that were taken, in the form that a request for the log takes.

use mysql_common::packets::{GnoInterval, Sid, Tag};

use godwit_model::error::{Error, Result};
use godwit_model::position::GtidSet;

/// One for each server and tag, with its intervals.
///
/// # Errors
/// Definite for a tag that the protocol does not know.
pub fn sids(set: &GtidSet) -> Result<Vec<Sid<'static>>> {
    let mut sids = Vec::new();
    let mut intervals = set.intervals().peekable();
    while let Some((uuid, tag, first, last)) = intervals.next() {
        let mut numbers = vec![GnoInterval::new(first, last + 1)];
        while let Some((.., first, last)) = intervals.next_if(|next| (next.0, next.1) == (uuid, tag)) {
            numbers.push(GnoInterval::new(first, last + 1));
        }
        let mut sid = Sid::new(*uuid).with_intervals(numbers);
        if let Some(tag) = tag {
            let owned = Tag::new(tag.to_owned()).map_err(|error| Error::definite(format!("GTID tag \"{tag}\": {error}")))?;
            sid = sid.with_tag(owned);
        }
        sids.push(sid);
    }
    Ok(sids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_becomes_a_dump_request() {
        let server = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let set: GtidSet = format!("{server}:1-3:5:tag:7").parse().unwrap();
        let texts: Vec<String> = sids(&set).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(texts, [format!("{server}:1-3:5"), format!("{server}:tag:7")]);
    }
}
