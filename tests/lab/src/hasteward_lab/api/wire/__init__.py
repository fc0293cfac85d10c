"""Bodies on the wire: JSON, YAML, and the little protobuf that stock kubectl insists on."""
