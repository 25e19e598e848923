//! The monthly sunspot numbers: the file and its parser.

use std::fmt;

const FILE: &str = include_str!("../data/sunspots/sunspots_monthly.dat");

/// The last year whose numbers the file does not call preliminary.
pub(crate) const LAST_YEAR: usize = 2008;

/// What is wrong with a data file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum DataError {
    /// The table is framed by two lines of dashes.
    #[error("sunspot data: no table between two lines of dashes")]
    NoTable,
    /// Not a year.
    #[error("sunspot data, line {line}: expected a year, found {found:?}")]
    Year { line: usize, found: String },
    /// A year is missing, or the one before had less than twelve months.
    #[error("sunspot data, line {line}: expected the months from {expected} on, found the year {found}")]
    Gap { line: usize, expected: String, found: usize },
    /// Not a finite number of at least 0.
    #[error("sunspot data, line {line}: expected a sunspot number, found {found:?}")]
    Number { line: usize, found: String },
    /// A year of more than twelve months.
    #[error("sunspot data, line {line}: {months} months in one year")]
    Months { line: usize, months: usize },
    /// The table ends too early.
    #[error("sunspot data: {wanted} is not in the table, which has {months} months from January {first}")]
    TooShort { wanted: Month, months: usize, first: usize },
}

/// A month, counted from January of the year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Month(pub(crate) usize);

impl Month {
    /// January of a year.
    pub(crate) fn january(year: usize) -> Self {
        Self(year * 12)
    }

    /// The year with its fraction, for an axis.
    pub(crate) fn as_year(self) -> f64 {
        self.0 as f64 / 12.0
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02}", self.0 / 12, self.0 % 12 + 1)
    }
}

/// A number for each month from `first` on, without gaps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) first: Month,
    pub(crate) values: Vec<f32>,
}

impl Series {
    /// The numbers that come with the example, up to the end of [`LAST_YEAR`].
    pub(crate) fn load() -> Result<Self, DataError> {
        let mut series = Self::parse(FILE)?;
        let end = series.index(Month::january(LAST_YEAR + 1))?;
        series.values.truncate(end);
        Ok(series)
    }

    /// Reads the table between two lines of dashes: rows of a year and its months.
    pub(crate) fn parse(text: &str) -> Result<Self, DataError> {
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let is_rule = |line: &str| line.len() > 3 && line.bytes().all(|byte| byte == b'-');
        lines.by_ref().find(|(_, line)| is_rule(line)).ok_or(DataError::NoTable)?;
        let mut series: Option<Self> = None;
        for (line, row) in lines {
            if is_rule(row) {
                return series.ok_or(DataError::NoTable);
            }
            let mut words = row.split_whitespace();
            let Some(word) = words.next() else { continue };
            let year = word.parse().map_err(|_| DataError::Year { line, found: word.into() })?;
            let series = series.get_or_insert_with(|| Self { first: Month::january(year), values: Vec::new() });
            let next = series.month(series.values.len());
            if next != Month::january(year) {
                return Err(DataError::Gap { line, expected: next.to_string(), found: year });
            }
            let before = series.values.len();
            for word in words {
                let value = word.parse().ok().filter(|value: &f32| value.is_finite() && *value >= 0.0);
                series.values.push(value.ok_or_else(|| DataError::Number { line, found: word.into() })?);
            }
            let months = series.values.len() - before;
            if months > 12 {
                return Err(DataError::Months { line, months });
            }
        }
        Err(DataError::NoTable)
    }

    /// The month at an index.
    pub(crate) fn month(&self, index: usize) -> Month {
        Month(self.first.0 + index)
    }

    /// The index of a month, at most one past the end.
    pub(crate) fn index(&self, month: Month) -> Result<usize, DataError> {
        month.0.checked_sub(self.first.0).filter(|&index| index <= self.values.len()).ok_or(DataError::TooShort {
            wanted: month,
            months: self.values.len(),
            first: self.first.0 / 12,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &str) -> Result<Series, DataError> {
        Series::parse(&format!("Title\n====\n-----\n{rows}\n-----\nNote: 2009\n"))
    }

    #[test]
    fn the_file_is_what_its_readme_says() {
        let series = Series::load().expect("the data are part of the example");
        assert_eq!((series.first, series.values.len()), (Month::january(1749), 3120), "1749-01 to 2008-12");
        assert_eq!((series.values[0], series.values[3119]), (58.0, 0.8), "the first and the last month");
    }

    #[test]
    fn a_wrong_line_is_named() {
        let year = "1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0 10.0 11.0 12.0";
        assert_eq!(table(&format!("1750 {year}\n\n1751 0.5")).map(|series| series.values.len()), Ok(13), "13 months");
        assert_eq!(Series::parse("no table"), Err(DataError::NoTable), "no line of dashes");
        assert_eq!(table(""), Err(DataError::NoTable), "no rows");
        assert_eq!(table("year 1.0"), Err(DataError::Year { line: 4, found: "year".into() }), "no year");
        assert_eq!(table("1750 1.0 NaN"), Err(DataError::Number { line: 4, found: "NaN".into() }), "NaN");
        assert_eq!(table("1750 -1.0"), Err(DataError::Number { line: 4, found: "-1.0".into() }), "negative");
        assert_eq!(table(&format!("1750 {year} 1.0")), Err(DataError::Months { line: 4, months: 13 }), "13 in a year");
        let gap = DataError::Gap { line: 5, expected: "1750-02".into(), found: 1751 };
        assert_eq!(table("1750 1.0\n1751 1.0"), Err(gap), "a year that ends in January");
    }
}
