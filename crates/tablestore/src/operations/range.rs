//! Rows in the order of their keys: GetRange, and ComputeSplitPointsBySize, which cuts a table into ranges.

use std::cmp::Ordering;
use std::time::Instant;

use crate::client::Client;
use crate::error::{AnswerError, Error};
use crate::limits::{self, Invalid};
use crate::operations::{Consumed, KeyColumn, Read, distrust, refuse, table};
use crate::plainbuffer;
use crate::proto;
use crate::value::{KeyBound, KeyPoint, KeyValue, Row};

/// The order of a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From small keys to large ones.
    #[default]
    Forward,
    /// From large keys to small ones.
    Backward,
}

/// Rows from one point of the key space to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// The order.
    pub direction: Direction,
    /// Where it begins; a row at this point belongs to it.
    pub from: KeyPoint,
    /// Where it ends; a row at this point does not belong to it.
    pub to: KeyPoint,
    /// What is read of the rows.
    pub read: Read,
    /// The rows of one answer, at most; the service has a limit of its own.
    pub limit: Option<u32>,
}

impl Range {
    /// All rows of a table with this key, forward.
    #[must_use]
    pub fn whole(key: &[KeyColumn]) -> Self {
        let point = |bound: &KeyBound| key.iter().map(|column| (column.name.clone(), bound.clone())).collect();
        Self {
            direction: Direction::Forward,
            from: point(&KeyBound::Min),
            to: point(&KeyBound::Max),
            read: Read::default(),
            limit: None,
        }
    }

    fn check(&self) -> Result<(), Invalid> {
        for point in [&self.from, &self.to] {
            if point.is_empty() || point.len() > limits::KEY_COLUMNS {
                return Err(Invalid::KeyColumns(point.len()));
            }
            for (name, bound) in point {
                limits::name(name)?;
                if let KeyBound::Value(value) = bound {
                    limits::key(&vec![(name.clone(), value.clone())])?;
                }
            }
        }
        if let Some(limit) = self.limit
            && !(1..=limits::RANGE_ROWS).contains(&limit)
        {
            return Err(Invalid::Number { what: "the limit of a range", value: limit.into() });
        }
        self.read.check()
    }

    /// Whether `later` comes after `earlier` in the order of the range. None where they cannot be compared: other columns, other types.
    fn comes_after(&self, later: &KeyPoint, earlier: &KeyPoint) -> Option<bool> {
        let order = compare(later, earlier)?;
        Some(order == if self.direction == Direction::Forward { Ordering::Greater } else { Ordering::Less })
    }
}

/// One answer of a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Its rows, in order.
    pub rows: Vec<Row>,
    /// Where the range goes on. None: it is read to its end. A page without rows may have one, when a filter left all of them out.
    pub next: Option<KeyPoint>,
    /// The capacity that it used.
    pub consumed: Consumed,
}

/// The cuts of a table into ranges of about one size.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitPoints {
    /// The columns of the table's key.
    pub key: Vec<KeyColumn>,
    /// The points between ranges, ascending; one range less lies before the first and one after the last. Each names all columns of the key: those
    /// that the service leaves out are at their minimum.
    pub points: Vec<KeyPoint>,
    /// The capacity that it used.
    pub consumed: Consumed,
}

impl Client {
    /// Reads the first page of a range. It goes on by a range that begins at [`Page::next`].
    ///
    /// The page is checked: its rows lie within the range, in order, and what is left is less than the range.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn get_range(&self, table: &str, range: &Range) -> Result<Page, Error> {
        const OPERATION: &str = "GetRange";
        let invalid = refuse(OPERATION);
        limits::name(table).map_err(&invalid)?;
        range.check().map_err(&invalid)?;
        let request = proto::GetRangeRequest {
            table_name: table.to_owned(),
            direction: i32::from(range.direction == Direction::Backward),
            columns_to_get: range.read.names(),
            max_versions: Some(range.read.max_versions),
            // It fits: the check refuses what does not.
            limit: range.limit.and_then(|limit| i32::try_from(limit).ok()),
            inclusive_start_primary_key: plainbuffer::point(&range.from),
            exclusive_end_primary_key: plainbuffer::point(&range.to),
            filter: range.read.filter(),
        };
        let called = self.call::<proto::GetRangeResponse>(OPERATION, &request, Instant::now()).await?;
        page(range, &called.answer).map_err(|error| distrust(OPERATION, &called, error))
    }

    /// Reads a range to its end, and gives every page to `each`, which may stop it by returning false. Memory holds one page.
    ///
    /// # Errors
    /// [`Error`] of the page that could not be read; the pages before it have been given away.
    pub async fn each_page(&self, table: &str, mut range: Range, mut each: impl FnMut(Page) -> bool) -> Result<(), Error> {
        loop {
            let mut page = self.get_range(table, &range).await?;
            let next = page.next.take();
            let wanted = each(page);
            match next {
                Some(next) if wanted => range.from = next,
                _ => return Ok(()),
            }
        }
    }

    /// Cuts a table into ranges of about so many units of 1,048,576 bytes, by what the service knows of sizes.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn compute_split_points_by_size(&self, table: &str, megabytes: u32) -> Result<SplitPoints, Error> {
        const OPERATION: &str = "ComputeSplitPointsBySize";
        let invalid = refuse(OPERATION);
        limits::name(table).map_err(&invalid)?;
        if megabytes == 0 {
            return Err(invalid(Invalid::Number { what: "the size of a split", value: 0 }));
        }
        let request = proto::ComputeSplitPointsBySizeRequest {
            table_name: table.to_owned(),
            split_size: megabytes.into(),
            split_size_unit_in_byte: Some(1024 * 1024),
        };
        let called = self.call::<proto::ComputeSplitPointsBySizeResponse>(OPERATION, &request, Instant::now()).await?;
        split_points(&called.answer).map_err(|error| distrust(OPERATION, &called, error))
    }
}

fn page(range: &Range, answer: &proto::GetRangeResponse) -> Result<Page, AnswerError> {
    let consumed = Consumed::from_answer(answer.consumed.as_ref())?;
    if answer.next_token.as_ref().is_some_and(|token| !token.is_empty()) {
        return Err(AnswerError::Field("rows (one is cut, and goes on elsewhere)"));
    }
    let rows = plainbuffer::rows(answer.rows.as_deref().ok_or(AnswerError::Field("rows"))?)?;
    // An empty point is none: the SDKs take it so as well.
    let next = answer.next_start_primary_key.as_deref().filter(|bytes| !bytes.is_empty()).map(plainbuffer::key).transpose()?;
    let mut last: Option<KeyPoint> = None;
    for row in &rows {
        let point = crate::value::point(&row.key);
        let after_last = match &last {
            Some(last) => range.comes_after(&point, last),
            None => range.comes_after(&range.from, &point).map(|before| !before),
        };
        if after_last != Some(true) || range.comes_after(&range.to, &point) != Some(true) {
            return Err(AnswerError::Row);
        }
        last = Some(point);
    }
    if let Some(next) = &next
        && range.comes_after(next, last.as_ref().unwrap_or(&range.from)) != Some(true)
    {
        return Err(AnswerError::NoProgress);
    }
    Ok(Page { rows, next, consumed })
}

fn split_points(answer: &proto::ComputeSplitPointsBySizeResponse) -> Result<SplitPoints, AnswerError> {
    let consumed = Consumed::from_answer(answer.consumed.as_ref())?;
    let key = table::schema(&answer.schema)?;
    let mut points: Vec<KeyPoint> = Vec::new();
    for bytes in &answer.split_points {
        let mut point = plainbuffer::key(bytes)?;
        let named = point.iter().zip(&key).all(|((name, _), column)| *name == column.name);
        if !named || point.len() > key.len() {
            return Err(AnswerError::Field("split_points"));
        }
        point.extend(key.iter().skip(point.len()).map(|column| (column.name.clone(), KeyBound::Min)));
        if points.last().is_some_and(|last| compare(&point, last) != Some(Ordering::Greater)) {
            return Err(AnswerError::Field("split_points (they do not ascend)"));
        }
        points.push(point);
    }
    Ok(SplitPoints { key, points, consumed })
}

/// How two points lie to each other: integers by value, texts and bytes by their bytes, as the service orders them. None for points of different
/// keys.
fn compare(left: &KeyPoint, right: &KeyPoint) -> Option<Ordering> {
    if left.len() != right.len() {
        return None;
    }
    for ((left_name, left), (right_name, right)) in left.iter().zip(right) {
        if left_name != right_name {
            return None;
        }
        let order = match (left, right) {
            (KeyBound::Value(left), KeyBound::Value(right)) => compare_values(left, right)?,
            (KeyBound::Min, KeyBound::Min) | (KeyBound::Max, KeyBound::Max) => Ordering::Equal,
            (KeyBound::Min, _) | (_, KeyBound::Max) => Ordering::Less,
            (KeyBound::Max, _) | (_, KeyBound::Min) => Ordering::Greater,
        };
        if order != Ordering::Equal {
            return Some(order);
        }
    }
    Some(Ordering::Equal)
}

fn compare_values(left: &KeyValue, right: &KeyValue) -> Option<Ordering> {
    match (left, right) {
        (KeyValue::Integer(left), KeyValue::Integer(right)) => Some(left.cmp(right)),
        (KeyValue::String(left), KeyValue::String(right)) => Some(left.cmp(right)),
        (KeyValue::Binary(left), KeyValue::Binary(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::RowOperation;
    use crate::value::PrimaryKey;

    fn key(value: i64) -> PrimaryKey {
        vec![("id".into(), KeyValue::Integer(value))]
    }

    fn range(direction: Direction, from: i64, to: i64) -> Range {
        let (from, to) = (crate::value::point(&key(from)), crate::value::point(&key(to)));
        Range { direction, from, to, read: Read::default(), limit: None }
    }

    /// An answer with the rows of these keys, which goes on at `next`.
    fn answer(keys: &[i64], next: Option<i64>) -> proto::GetRangeResponse {
        let rows = keys.iter().map(|value| plainbuffer::change(&key(*value), &RowOperation::Put(vec![])));
        // One header for all of them.
        let rows = rows.enumerate().flat_map(|(at, bytes)| bytes.into_iter().skip(if at == 0 { 0 } else { 4 })).collect();
        proto::GetRangeResponse {
            consumed: Some(proto::ConsumedCapacity::default()),
            rows: Some(rows),
            next_start_primary_key: next.map(|value| plainbuffer::primary_key(&key(value))),
            next_token: None,
        }
    }

    #[test]
    fn a_page_is_in_order_and_within_its_range() {
        let forward = range(Direction::Forward, 1, 9);
        let read = page(&forward, &answer(&[1, 2, 8], None)).unwrap();
        assert_eq!(read.rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>(), [key(1), key(2), key(8)]);
        for keys in [&[0, 2][..], &[2, 2], &[3, 2], &[8, 9]] {
            assert_eq!(page(&forward, &answer(keys, None)), Err(AnswerError::Row), "{keys:?}");
        }
        let backward = range(Direction::Backward, 9, 1);
        assert!(page(&backward, &answer(&[9, 2], Some(1))).is_ok());
        for keys in [&[10][..], &[2, 3], &[1]] {
            assert_eq!(page(&backward, &answer(keys, None)), Err(AnswerError::Row), "{keys:?}");
        }
    }

    #[test]
    fn a_range_that_goes_on_makes_progress() {
        let forward = range(Direction::Forward, 1, 9);
        assert_eq!(page(&forward, &answer(&[], Some(2))).unwrap().next, Some(crate::value::point(&key(2))));
        assert_eq!(page(&forward, &answer(&[], Some(1))), Err(AnswerError::NoProgress));
        assert_eq!(page(&forward, &answer(&[5], Some(5))), Err(AnswerError::NoProgress));
    }

    #[test]
    fn a_page_without_its_rows_is_not_an_empty_one() {
        let silent = proto::GetRangeResponse { rows: None, ..answer(&[], None) };
        assert_eq!(page(&range(Direction::Forward, 1, 9), &silent), Err(AnswerError::Field("rows")));
        let cut = proto::GetRangeResponse { next_token: Some(vec![1]), ..answer(&[1], None) };
        assert!(matches!(page(&range(Direction::Forward, 1, 9), &cut), Err(AnswerError::Field(_))));
    }
}
