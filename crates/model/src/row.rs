//! A row of canonical values in one allocation.

/// Sequence of cells: a LEB128 length plus one (0: NULL), then the bytes.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Row(Vec<u8>);

/// A cell: None is NULL.
pub type CellRef<'a> = Option<&'a [u8]>;

impl Row {
    /// The cells in order.
    pub fn cells(&self) -> Cells<'_> {
        Cells { rest: &self.0 }
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// The encoding itself; equal rows have equal bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A row from its encoding, as [`Row::as_bytes`] gave it.
    pub fn from_encoded(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The row that holds the cells at `indexes`, in that order.
    pub fn project(&self, indexes: &[usize]) -> Row {
        let cells: Vec<CellRef<'_>> = self.cells().collect();
        let mut builder = RowBuilder::default();
        for &index in indexes {
            builder.push(cells.get(index).copied().flatten());
        }
        builder.finish()
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.cells().map(|cell| cell.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))).finish()
    }
}

/// Iterator over the cells of a row.
#[derive(Clone)]
pub struct Cells<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Cells<'a> {
    type Item = CellRef<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let mut length = 0usize;
        let mut shift = 0;
        let mut used = 0;
        for &byte in self.rest {
            used += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        self.rest = &self.rest[used..];
        if length == 0 {
            return Some(None);
        }
        let (cell, rest) = self.rest.split_at(length - 1);
        self.rest = rest;
        Some(Some(cell))
    }
}

/// Rows larger than this are moved, not copied.
const LARGE_ROW: usize = 64 << 10;

/// Builds a row cell by cell.
#[derive(Default, Debug, Clone)]
pub struct RowBuilder {
    bytes: Vec<u8>,
}

impl RowBuilder {
    /// With room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    fn push_length(&mut self, mut length_plus_one: usize) {
        while length_plus_one >= 0x80 {
            self.bytes.push((length_plus_one & 0x7f) as u8 | 0x80);
            length_plus_one >>= 7;
        }
        self.bytes.push(length_plus_one as u8);
    }

    /// Appends a cell.
    pub fn push(&mut self, cell: CellRef<'_>) {
        match cell {
            None => self.bytes.push(0),
            Some(bytes) => {
                self.push_length(bytes.len() + 1);
                self.bytes.extend_from_slice(bytes);
            }
        }
    }

    /// Appends NULL.
    pub fn push_null(&mut self) {
        self.bytes.push(0);
    }

    /// Bytes so far.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The row.
    pub fn finish(self) -> Row {
        Row(self.bytes)
    }

    /// The row, leaving an empty builder; the row's allocation fits exactly.
    pub fn take(&mut self) -> Row {
        // A large row keeps its allocation: copying it would double the memory it needs.
        if self.bytes.len() > LARGE_ROW {
            return Row(std::mem::take(&mut self.bytes));
        }
        let row = Row(self.bytes.as_slice().to_vec());
        self.bytes.clear();
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cells_come_back_as_they_went_in(cells in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)), 0..20)) {
            let mut builder = RowBuilder::default();
            for cell in &cells {
                builder.push(cell.as_deref());
            }
            let row = builder.finish();
            let back: Vec<Option<Vec<u8>>> = row.cells().map(|cell| cell.map(<[u8]>::to_vec)).collect();
            prop_assert_eq!(back, cells);
        }
    }
}
