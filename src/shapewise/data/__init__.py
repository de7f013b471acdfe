"""Cases and their layouts, descriptor tables, splits, prepared slices and augmentation."""
