"""What every part of Trimtab shares: pure data, file formats, the store and connections."""
