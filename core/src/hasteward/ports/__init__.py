"""What the inside needs from the outside, as Protocols. Adapters and fakes implement them."""
