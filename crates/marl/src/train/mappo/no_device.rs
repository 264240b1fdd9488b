//! What a build without candle says of devices.

use super::Mappo;
use crate::train::{Device, DeviceError};

impl Device {
    /// Looks whether this build and this machine have it.
    ///
    /// # Errors
    /// [`DeviceError::Absent`] for every device but [`Device::Cpu`].
    pub fn check(self) -> Result<(), DeviceError> {
        let device = self.name();
        match self.feature() {
            None => Ok(()),
            Some(feature) => Err(DeviceError::Absent { device, feature }),
        }
    }
}

impl<E> Mappo<E> {
    /// Computes networks on `device` from now on.
    ///
    /// # Errors
    /// As [`Device::check`].
    pub fn compute_on(&mut self, device: Device) -> Result<(), DeviceError> {
        device.check()
    }
}
