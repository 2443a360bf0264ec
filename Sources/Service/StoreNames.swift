import Store

// The module Store holds a type of the same name, so its types cannot be told from those of APITypes by the module's name.
typealias StoredPage = Page
typealias StoredJobSummary = JobSummary
