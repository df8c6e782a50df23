"""Reports for people: pages in one file each, without a script and without anything fetched."""
