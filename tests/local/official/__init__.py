"""Microsoft's own clients, reading from the emulator."""
