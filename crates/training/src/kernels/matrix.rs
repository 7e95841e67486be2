//! Matrix products through the `gemm` crate: the only place that hands out raw pointers.

/// A matrix inside a slice, with any distance between its rows.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// A row-major matrix without gaps.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// A row-major matrix whose rows start `row_stride` apart: a block of columns of a wider one.
    pub(crate) fn strided(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(extent(rows, columns, row_stride) <= data.len());
        Self {
            data,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    /// The same numbers with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// A row-major matrix to write to.
pub(crate) struct ViewMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

impl<'a> ViewMut<'a> {
    /// A row-major matrix without gaps.
    pub(crate) fn new(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// A row-major matrix whose rows start `row_stride` apart.
    pub(crate) fn strided(
        data: &'a mut [f32],
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> Self {
        assert!(extent(rows, columns, row_stride) <= data.len());
        Self {
            data,
            rows,
            columns,
            row_stride,
        }
    }
}

/// Numbers from the first to the last of a row-major matrix, both included.
fn extent(rows: usize, columns: usize, row_stride: usize) -> usize {
    if rows == 0 || columns == 0 {
        0
    } else {
        (rows - 1) * row_stride + columns
    }
}

/// `out = left right`.
pub(crate) fn product(out: ViewMut<'_>, left: View<'_>, right: View<'_>) {
    multiply(out, left, right, false);
}

/// `out += left right`.
pub(crate) fn add_product(out: ViewMut<'_>, left: View<'_>, right: View<'_>) {
    multiply(out, left, right, true);
}

#[expect(
    unsafe_code,
    reason = "gemm takes pointers; views check their extent when they are made"
)]
fn multiply(out: ViewMut<'_>, left: View<'_>, right: View<'_>, accumulate: bool) {
    assert!(left.rows == out.rows && left.columns == right.rows && right.columns == out.columns);
    // SAFETY: every view lies inside its slice (checked by its constructor; a transposed view covers the same
    // numbers), the shapes fit (checked above), and `out` is exclusively borrowed.
    unsafe {
        gemm::gemm(
            out.rows,
            out.columns,
            left.columns,
            out.data.as_mut_ptr(),
            1,
            out.row_stride as isize,
            accumulate,
            left.data.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.data.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Writes `row` into every row of `matrix`.
pub(crate) fn fill_rows(matrix: &mut [f32], row: &[f32]) {
    for target in matrix.chunks_exact_mut(row.len()) {
        target.copy_from_slice(row);
    }
}

/// Adds the sum of `matrix`'s rows to `total`.
pub(crate) fn add_column_sums(total: &mut [f32], matrix: &[f32]) {
    for row in matrix.chunks_exact(total.len()) {
        for (sum, value) in total.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplies_blocks_and_transposes() {
        // [[1, 2], [3, 4]] inside a matrix of three columns.
        let left = [1.0, 2.0, 9.0, 3.0, 4.0, 9.0];
        let right = [5.0, 6.0, 7.0, 8.0];
        let mut out = [0.0; 4];
        let left = View::strided(&left, 2, 2, 3);
        product(ViewMut::new(&mut out, 2, 2), left, View::new(&right, 2, 2));
        assert_eq!(out, [19.0, 22.0, 43.0, 50.0]);
        add_product(
            ViewMut::new(&mut out, 2, 2),
            left.transposed(),
            View::new(&right, 2, 2),
        );
        assert_eq!(out, [19.0 + 26.0, 22.0 + 30.0, 43.0 + 38.0, 50.0 + 44.0]);
    }

    #[test]
    #[should_panic]
    fn a_view_cannot_leave_its_slice() {
        let _ = View::strided(&[0.0; 5], 2, 3, 3);
    }
}
