"""Who says of themselves that they are in a room's call: MatrixRTC memberships, read, kept and watched."""
