#![no_main]

use godwit_tablestore::plainbuffer::{change, key, point, row, rows};
use godwit_tablestore::{Row, RowOperation};

// Rows of an answer: whatever the bytes are, nothing but rows or an error comes of them, and rows are written again as what is read as the same.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = row(data);
    if let Ok(end) = key(data) {
        let written = point(&end);
        assert_eq!(key(&written).map(|end| point(&end)), Ok(written));
    }
    for read in rows(data).unwrap_or_default() {
        let written = write(&read);
        // Bytes are compared: a NaN is not equal to itself.
        assert_eq!(row(&written).map(|read| read.as_ref().map(write)), Ok(Some(written)));
    }
});

fn write(read: &Row) -> Vec<u8> {
    change(&read.key, &RowOperation::Put(read.columns.clone()))
}
