"""One file is one cause, named for the defect. Pure: facts in, claims out."""
