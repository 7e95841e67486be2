//! Where the networks are trained: on the processor, or on the first NVIDIA GPU in a build with the feature `cuda`.

use burn::tensor::Device;

use crate::TrainingError;

/// What checkpoints call it: another kind of device rounds differently.
pub(crate) const NAME: &str = if cfg!(feature = "cuda") {
    "cuda"
} else {
    "cpu"
};

/// The device of this build.
///
/// # Errors
/// [`TrainingError::NoGpu`] when it was built for a GPU and there is none.
#[cfg(feature = "cuda")]
pub(crate) fn of_training() -> Result<Device, TrainingError> {
    let devices = Device::enumerate(burn::tensor::DeviceType::Cuda);
    devices.into_iter().next().ok_or(TrainingError::NoGpu)
}

/// The device of this build.
///
/// # Errors
/// None: the processor is always there.
#[cfg(not(feature = "cuda"))]
pub(crate) fn of_training() -> Result<Device, TrainingError> {
    Ok(Device::flex())
}
