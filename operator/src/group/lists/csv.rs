//! Rows of comma-separated text (RFC 4180), as IoT Central and spreadsheets write it, read and written. Pure.
//!
//! The csv crate reads a quote that is never closed to the end of the text without an error, and joins text behind a closing
//! quote to the cell. Both would silently remove devices of a list; here they are errors with a line.

use std::iter::Peekable;
use std::str::Chars;

/// One row that is not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line where it begins; the first is 1.
    pub line: u32,
    /// Its cells, without quotes and without white space around them.
    pub cells: Vec<String>,
}

/// A row with an error of quotes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{mistake}")]
pub struct Unreadable {
    /// The line where it begins.
    pub line: u32,
    /// Error of the record.
    pub mistake: Mistake,
}

/// Error of quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// The rest of the text is inside of it.
    #[error(
        "a quote is opened in this row and never closed, so that the rest of the list is lost in it: close it"
    )]
    Unclosed,
    /// Such as `"a"b`.
    #[error("text follows a closing quote: put the whole cell into quotes, and double the quotes inside")]
    AfterQuote,
}

/// Reads the rows of a text. A byte order mark, blank lines, and rows of empty cells are left out; lines end with LF,
/// CRLF or CR.
#[must_use]
pub fn rows(text: &str) -> Vec<Result<Row, Unreadable>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { left: text.chars().peekable(), line: 1 };
    std::iter::from_fn(|| reader.row())
        .filter(|row| !row.as_ref().is_ok_and(|row| row.cells.iter().all(String::is_empty)))
        .collect()
}

struct Reader<'a> {
    left: Peekable<Chars<'a>>,
    line: u32,
}

/// End of a cell.
enum RecordEnd {
    Cell,
    Row,
}

impl Reader<'_> {
    fn row(&mut self) -> Option<Result<Row, Unreadable>> {
        self.left.peek()?;
        let line = self.line;
        let (mut cells, mut mistake) = (Vec::new(), None);
        loop {
            let (cell, end) = self.cell();
            match cell {
                Ok(cell) => cells.push(cell),
                Err(what) => mistake = mistake.or(Some(what)),
            }
            if matches!(end, RecordEnd::Row) {
                return Some(
                    mistake.map_or(Ok(Row { line, cells }), |mistake| Err(Unreadable { line, mistake })),
                );
            }
        }
    }

    fn cell(&mut self) -> (Result<String, Mistake>, RecordEnd) {
        while self.left.next_if(|&c| c == ' ' || c == '\t').is_some() {}
        if self.left.next_if_eq(&'"').is_none() {
            let (text, end) = self.until_end();
            return (Ok(text.trim_end().to_owned()), end);
        }
        let Some(quoted) = self.quoted() else { return (Err(Mistake::Unclosed), RecordEnd::Row) };
        let (rest, end) = self.until_end();
        let cell =
            if rest.trim().is_empty() { Ok(quoted.trim().to_owned()) } else { Err(Mistake::AfterQuote) };
        (cell, end)
    }

    /// Returns the text before the next comma or end of line.
    fn until_end(&mut self) -> (String, RecordEnd) {
        let mut text = String::new();
        while let Some(c) = self.left.next() {
            match c {
                ',' => return (text, RecordEnd::Cell),
                '\n' | '\r' => {
                    self.end_line(c);
                    return (text, RecordEnd::Row);
                }
                c => text.push(c),
            }
        }
        (text, RecordEnd::Row)
    }

    /// Returns the text before the closing quote, if there is one.
    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.left.next()? {
                '"' if self.left.next_if_eq(&'"').is_some() => text.push('"'),
                '"' => return Some(text),
                c @ ('\n' | '\r') => {
                    self.end_line(c);
                    text.push('\n');
                }
                c => text.push(c),
            }
        }
    }

    /// Counts the end of a line; CRLF is one end.
    fn end_line(&mut self, end: char) {
        if end == '\r' {
            self.left.next_if_eq(&'\n');
        }
        self.line += 1;
    }
}

/// Returns a cell as a row contains it, in quotes where it needs them.
#[must_use]
pub fn cell(text: &str) -> String {
    let outer_space = text.trim() != text;
    if outer_space || text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cells(text: &str) -> Vec<(u32, Vec<String>)> {
        rows(text).into_iter().map(|row| row.unwrap()).map(|row| (row.line, row.cells)).collect()
    }

    fn row(line: u32, cells: &[&str]) -> (u32, Vec<String>) {
        (line, cells.iter().map(|&cell| cell.to_owned()).collect())
    }

    #[test]
    fn spreadsheet_output_is_read() {
        for (text, expected) in [
            ("", vec![]),
            ("\u{feff}A,B\r\na,b\r\n", vec![row(1, &["A", "B"]), row(2, &["a", "b"])]),
            ("a,b", vec![row(1, &["a", "b"])]),
            ("a\rb\r", vec![row(1, &["a"]), row(2, &["b"])]),
            ("\n\n a , b \n \t\n,,\nc\n", vec![row(3, &["a", "b"]), row(6, &["c"])]),
            ("a,\n,b\n", vec![row(1, &["a", ""]), row(2, &["", "b"])]),
            ("\"a,b\",\"say \"\"hi\"\"\"", vec![row(1, &["a,b", "say \"hi\""])]),
            (" \"a\" , \"b\" \n", vec![row(1, &["a", "b"])]),
            ("\"a\r\nb\",c\nd\n", vec![row(1, &["a\nb", "c"]), row(3, &["d"])]),
            // Inches, as people write them.
            ("a,19\" rack\n", vec![row(1, &["a", "19\" rack"])]),
        ] {
            assert_eq!(cells(text), expected, "{text:?}");
        }
    }

    #[test]
    fn wrong_quotes_are_reported_with_their_line() {
        let found = rows("A\n\"a\"b,c\nd\n\"e\nf\n");
        let unreadable = |line, mistake| Err(Unreadable { line, mistake });
        assert_eq!(found[1], unreadable(2, Mistake::AfterQuote));
        assert_eq!(found[2], Ok(Row { line: 3, cells: vec!["d".to_owned()] }));
        assert_eq!(found[3], unreadable(4, Mistake::Unclosed));
        assert_eq!(found.len(), 4);
    }

    /// Reads a text with another implementation, so that reader and writer do not only understand each other.
    fn as_others_read(text: &str) -> Vec<Vec<String>> {
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    proptest! {
        #[test]
        fn written_table_is_read_back(table in prop::collection::vec(prop::collection::vec("[a-z\", \n;'=]{0,8}", 2..4), 0..8)) {
            let table: Vec<Vec<String>> = table
                .into_iter()
                .map(|row| row.into_iter().map(|cell| cell.trim().to_owned()).collect::<Vec<_>>())
                .filter(|row| row.iter().any(|cell| !cell.is_empty()))
                .collect();
            let text: String = table
                .iter()
                .map(|row| row.iter().map(|text| cell(text)).collect::<Vec<_>>().join(",") + "\r\n")
                .collect();
            let read: Vec<Vec<String>> = rows(&text).into_iter().map(|row| row.unwrap().cells).collect();
            prop_assert_eq!(&read, &table);
            prop_assert_eq!(as_others_read(&text), table);
        }

        #[test]
        fn any_text_is_split_into_rows(text in "[\\PC\n\r\"]{0,60}") {
            let lines = u32::try_from(text.chars().count()).unwrap() + 1;
            let mut last = 0;
            for row in rows(&text) {
                let line = row.map_or_else(|unreadable| unreadable.line, |row| row.line);
                prop_assert!(last < line && line <= lines);
                last = line;
            }
        }
    }
}
