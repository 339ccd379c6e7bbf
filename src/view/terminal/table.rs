//! Columns. Cells may carry styles: only what is seen counts as width.

use anstream::adapter::strip_str;

/// Between two columns.
const GAP: &str = "  ";
/// No column gets narrower than this to fit.
const NARROWEST: usize = 8;

/// Lines up rows under each other, cut to a width. The last column takes what is left, and so does the last cell of a
/// row with fewer: it makes no column wider.
pub fn table(rows: &[Vec<String>], width: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..columns)
        .map(|column| {
            let whole = rows.iter().filter(|row| column + 1 < row.len() || column + 1 == columns);
            whole.filter_map(|row| row.get(column)).map(|cell| visible(cell)).max().unwrap_or(0)
        })
        .collect();
    let gaps = GAP.len() * columns.saturating_sub(1);
    if let Some((last, others)) = widths.split_last_mut() {
        let room = width.saturating_sub(others.iter().sum::<usize>() + gaps);
        *last = (*last).min(room.max(NARROWEST));
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            if column > 0 {
                line.push_str(GAP);
            }
            if column + 1 < row.len() {
                let cell = cut(cell, widths[column]);
                line.push_str(&cell);
                line.push_str(&" ".repeat(widths[column].saturating_sub(visible(&cell))));
            } else {
                let before = widths[..column].iter().sum::<usize>() + GAP.len() * column;
                line.push_str(&cut(cell, width.saturating_sub(before).max(NARROWEST)));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The number of columns that a text takes.
pub fn visible(text: &str) -> usize {
    strip_str(text).map(|part| part.chars().count()).sum()
}

/// A text cut to a width, with a mark where it was. A cut text loses its styles.
pub fn cut(text: &str, width: usize) -> String {
    if visible(text) <= width {
        return text.to_owned();
    }
    let plain = strip_str(text).to_string();
    let mut short: String = plain.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::super::style::{GOOD, paint};
    use super::*;

    #[test]
    fn styles_take_no_room() {
        let rows = [vec![paint(GOOD, "ab"), "c".to_owned()], vec!["abcd".to_owned(), "d".to_owned()]];
        assert_eq!(strip_str(&table(&rows, 80)).to_string(), "ab    c\nabcd  d\n");
    }

    #[test]
    fn the_last_cell_of_a_short_row_makes_no_column_wider() {
        let rows = [["ab", "c", "d"].map(str::to_owned).to_vec(), ["ef", "a long one"].map(str::to_owned).to_vec()];
        assert_eq!(table(&rows, 80), "ab  c  d\nef  a long one\n");
    }

    #[test]
    fn the_last_column_is_cut() {
        let rows = [vec!["ab".to_owned(), "a long explanation".to_owned()]];
        assert_eq!(table(&rows, 14), "ab  a long ex…\n");
    }
}
