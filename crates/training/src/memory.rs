//! Memory that every step frees and takes again.

/// Asks the C library to keep what is freed instead of handing it back to the system. Every step frees and takes tens of
/// megabytes; getting them back page by page took a quarter of the time. Process-wide, until the returned guard is
/// dropped: then what is free goes back to the system.
pub(crate) fn keep_freed() -> KeepFreed {
    set(1 << 30, 64 << 20);
    KeepFreed
}

/// See [`keep_freed`].
pub(crate) struct KeepFreed;

impl Drop for KeepFreed {
    fn drop(&mut self) {
        set(128 << 10, 128 << 10);
        release();
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "the C library's settings have no safe interface"
)]
fn set(trim_threshold: i32, top_pad: i32) {
    // SAFETY: changes numbers that the allocator reads, under its own lock; refusals are harmless.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, trim_threshold);
        libc::mallopt(libc::M_TOP_PAD, top_pad);
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "the C library's settings have no safe interface"
)]
fn release() {
    // SAFETY: gives back free memory only, under the allocator's own lock.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn set(_: i32, _: i32) {}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn release() {}
