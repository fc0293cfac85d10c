"""The toolbox for engine authors: proven streams, sections, the Lease."""
