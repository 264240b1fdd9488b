//! Where networks are computed, and what to do where they cannot be.

use karma_marl::train::{Device, DeviceError};

use crate::{
    args::{DeviceArgs, DeviceName},
    status::{Blame, Failure, Outcome},
};

/// The device that was asked for; refused where this build or this machine has none.
pub(crate) fn device(args: DeviceArgs) -> Outcome<Device> {
    let device = match args.device {
        DeviceName::Cpu => Device::Cpu,
        DeviceName::Cuda => Device::Cuda,
        DeviceName::CandleCpu => Device::CandleCpu,
    };
    accepted(device.check())?;
    Ok(device)
}

/// What a device said; what it cannot do is refused, with what to do instead.
pub(crate) fn accepted(result: Result<(), DeviceError>) -> Outcome<()> {
    let hint = match &result {
        Ok(()) | Err(DeviceError::Failed { .. }) => return Ok(result?),
        Err(DeviceError::Absent { feature, .. }) => {
            format!(
                "build it with `cargo build --release --features {feature}`, or leave out --device"
            )
        }
        Err(DeviceError::Unusable { .. }) => {
            "see whether `nvidia-smi` finds a GPU and its driver, or leave out --device".to_owned()
        }
        Err(DeviceError::Recurrent { .. }) => "leave out --device, or train.recurrent".to_owned(),
    };
    result
        .refuse()
        .map_err(|failure: Failure| failure.hint(hint))
}
